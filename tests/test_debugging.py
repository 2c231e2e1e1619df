"""`jaxnet debug` on runs that failed: the operation, the row of the file, the column."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.cli.main import main
from jaxnet.debugging import debug
from jaxnet.errors import ConfigError, NonFiniteError, RunDirectoryError, UserError
from jaxnet.nn import losses
from jaxnet.nn.losses import ELEMENTWISE, core

GUILTY = 41  # the row of the table, counted from 0


def write_table(folder, *, guilty=GUILTY, value=3e38):
    rng = np.random.default_rng(0)
    lines = ["width,height,depth,kind"]
    for row in range(80):
        numbers = rng.normal(size=3)
        cells = [f"{number:.4f}" for number in numbers]
        if row == guilty:
            cells = [f"{value:g}", f"{value:g}", f"-{value:g}"]
        lines.append(",".join([*cells, "ab"[int(numbers[0] > 0)]]))
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def split(folder):
    """All rows but the first twenty train: their numbers are not those of the file."""
    lines = ["row,part", *(f"{row},{'validation' if row < 10 else 'test'}" for row in range(20))]
    lines += [f"{row},train" for row in range(20, 80)]
    path = folder / "split.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def config(folder, **changes):
    return {
        "task": "binary",
        "data": {
            "train": str(write_table(folder)),
            "target": "kind",
            "scale": "none",
            "split": {"file": split(folder)},
        },
        "model": {"hidden": [8], "numeric_embedding": "none"},
        "optimizer": {"name": "sgd", "learning_rate": 0.01, "schedule": {"name": "constant"}},
        "training": {"epochs": 3, "batch_size": 16, "early_stopping": None},
        "report": False,
        **changes,
    }


def fails(folder, given):
    run = folder / "run"
    with pytest.raises(NonFiniteError) as caught:
        jaxnet.train(given, run_dir=run, progress=False)
    return run, caught.value


def left_out(run):
    events = map(json.loads, (run / "events.jsonl").read_text().splitlines())
    return [event["step"] for event in events if event["event"] == "skipped"]


def test_the_command_names_operation_row_and_column(tmp_path, capsys):
    run, error = fails(tmp_path, config(tmp_path))
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    assert main(["debug", str(run), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["operation"], said["direction"], said["rows"]) == (
        "dot_general",
        "forward",
        [GUILTY],
    )
    assert said["step"] == error.step
    assert said["inputs"][0]["name"] in ("width", "height", "depth")
    assert said["inputs"][0]["row"] == GUILTY
    assert said["checkpoint"].startswith("last-")
    assert said["replayed"] == 0
    assert said["loss"] is None
    assert main(["debug", str(run)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"step {error.step} (epoch 1) of {run}: the loss is ")
    assert "\noperation   dot_general, in the forward pass\n" in text
    assert f"\nrows        {GUILTY} (counted from 0)\n" in text
    assert "jaxnet/nn/mlp.py:" in text
    assert "data.scale=robust" in text
    assert before == {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}


def test_without_a_checkpoint_near_the_step_it_trains_up_to_it(tmp_path):
    run, error = fails(tmp_path, config(tmp_path))
    from_checkpoint = debug(run)
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    found = debug(run)
    assert found.start is None
    assert found.steps == error.step - 1
    for mine, its in zip(found.finding, from_checkpoint.finding, strict=True):
        assert str(mine) == str(its)  # NaN is not equal to itself


def test_a_step_that_was_left_out(tmp_path):
    """Its gradient is too large to be squared; what the network gives for the row is finite."""
    given = config(tmp_path)
    write_table(tmp_path, value=1e20)
    given["model"]["last_layer"] = "same"
    given["training"] |= {"on_nan": "skip", "epochs": 2}
    jaxnet.train(given, run_dir=tmp_path / "run", progress=False)
    found = debug(tmp_path / "run").finding
    assert found.step == left_out(tmp_path / "run")[-1]
    assert found.direction == "update"
    assert found.rows == (GUILTY,)
    assert found.exact


def test_a_model_that_is_not_finite_is_traced_to_the_step_that_was_left_out(tmp_path):
    given = config(tmp_path)
    given["training"] |= {"on_nan": "skip", "epochs": 2, "seed": 1}
    run, error = fails(tmp_path, given)
    found = debug(run).finding
    assert found.step == left_out(run)[-1] < error.step
    assert found.rows == (GUILTY,)


def test_a_loss_of_ones_own(tmp_path, monkeypatch):
    """log(0) at the one row whose first input is exactly 7, at a line of this file."""
    with monkeypatch.context() as patch:
        value = lambda z, y: jnp.sum(jnp.log(jnp.abs(z - y)) * 0 + z**2, axis=-1)  # noqa: E731
        made = losses.make("own", value=value, delta=lambda z, y: 2 * z, layout=ELEMENTWISE)
        patch.setitem(core._REGISTRY, "own", made)
        given = config(tmp_path, loss={"name": "own", "activation": "identity"})
        write_table(tmp_path, value=0)
        given["model"]["last_layer"] = "zeros"  # z = 0 = y for the class 0 at the first step
        run, _ = fails(tmp_path, given)
        found = debug(run).finding
    assert found.operation == "log"
    assert "test_debugging.py" in found.place
    assert set(found.targets) == {0.0}


def test_parameters_that_have_grown_too_large(tmp_path):
    given = config(tmp_path)
    write_table(tmp_path, value=1)
    given["optimizer"]["learning_rate"] = 1e15
    given["model"]["last_layer"] = "same"
    run, error = fails(tmp_path, given)
    found = debug(run)
    assert (found.finding.step, found.finding.operation) == (error.step, "dot_general")
    assert "the parameters have grown to " in found.advice[0]
    assert "optimizer.learning_rate=0.001" in found.advice[1]


def test_a_run_without_such_a_step_is_refused(tmp_path, capsys):
    given = config(tmp_path)
    write_table(tmp_path, value=1)
    jaxnet.train(given, run_dir=tmp_path / "run", progress=False)
    with pytest.raises(RunDirectoryError, match="no step of this run was NaN or infinite: it is f"):
        debug(tmp_path / "run")
    assert main(["debug", str(tmp_path / "nowhere")]) == 2
    assert "there is no such run directory" in capsys.readouterr().err


def test_other_data_is_refused(tmp_path):
    run, _ = fails(tmp_path, config(tmp_path))
    write_table(tmp_path, guilty=40)
    with pytest.raises((UserError, ConfigError, jaxnet.errors.CheckpointError), match="the data"):
        debug(run)
