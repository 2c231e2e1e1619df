"""Networks, backward passes, bags and heads on eight devices: the numbers of one."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_on_meshes_of_either_kind_and_in_shards_the_numbers_are_those_of_one_device(
    environment: dict[str, str],
):
    """In a process of its own: the number of devices is fixed when JAX starts."""
    flags = "--xla_force_host_platform_device_count=8"
    more = {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "tests" / "nn" / "meshed.py")],
        capture_output=True,
        text=True,
        env={**environment, **more},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [
        "mlp",
        "mlp-bfloat16",
        "backprop",
        "backprop-bfloat16",
        "embedding",
        "embedding-backprop",
        "bags",
        "categorical",
        "multilabel-sum",
        "forward-mode",
        "ranking",
        "update",
    ]
