"""Draw docs/figures/result.svg, training and gradient side by side, for the README.

Left: the losses by epoch of configs/multiclass.yaml, trained here. Right: the relative error in
float32 of d loss / d z for the label 1, of jaxnet's delta and of autodiff of the usual stable form.

    .venv/bin/python scripts/draw_result.py
"""

import json
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxnet
from jaxnet.nn import losses

ROOT = Path(__file__).resolve().parent.parent


def curves(axes: plt.Axes) -> None:
    """Losses by epoch of a run of the shipped config."""
    with tempfile.TemporaryDirectory() as folder:
        run = jaxnet.train(
            ROOT / "configs/multiclass.yaml", run_dir=f"{folder}/run", progress=False
        )
        lines = (run.directory / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    epochs = [record["epoch"] for record in records]
    for key, label in (("train_loss", "training"), ("validation_log_loss", "validation")):
        axes.plot(epochs, [record[key] for record in records], label=label)
    accuracy = run.metrics["test"]["accuracy"]
    axes.set_title(f"configs/multiclass.yaml: test accuracy {accuracy:.3f}")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.set_yscale("log")
    axes.legend(frameon=False)


def errors(axes: plt.Axes) -> None:
    """Relative error of the gradient of binary cross-entropy, y = 1."""
    z = np.linspace(0.1, 80, 800, dtype=np.float32)
    y = np.ones_like(z)
    exact = -np.exp(-z.astype(np.float64)) / (1 + np.exp(-z.astype(np.float64)))

    def usual(z: jax.Array) -> jax.Array:
        return jnp.sum(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))

    found = {
        "autodiff of the usual form": jax.grad(usual)(jnp.asarray(z)),
        "jaxnet": losses.binary_cross_entropy.delta(z, y),
    }
    for label, delta in found.items():
        error = np.abs(np.asarray(delta, np.float64) - exact) / np.abs(exact)
        axes.plot(z, np.maximum(error, 1e-9), label=label)
    axes.set_title("Relative error of the gradient, label 1, float32")
    axes.set_xlabel("logit z")
    axes.set_yscale("log")
    axes.legend(frameon=False, loc="center right")


def main() -> None:
    """Draw both halves; the same versions give the same bytes."""
    plt.rcParams.update({"svg.hashsalt": "jaxnet", "font.size": 9})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), facecolor="white")
    curves(left)
    errors(right)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(ROOT / "docs/figures/result.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
