"""The exact words of the commonest mistakes."""

from pathlib import Path

import pytest

from jaxnet.config import load_config
from jaxnet.errors import ConfigError

GOOD = "task: binary\ndata: {source: breast_cancer}\n"
TOP = "(valid: task, data, model, loss, optimizer, training, checkpoints, decision, report)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            GOOD + "optimizer:\n  learning_rat: 1e-3\n",
            "c.yaml:4:3: optimizer.learning_rat: unknown key; did you mean 'learning_rate'?",
            id="unknown key",
        ),
        pytest.param(
            "taks: binary\ndata: {source: breast_cancer}\n",
            f"c.yaml:1:1: taks: unknown key; did you mean 'task'? {TOP}",
            id="unknown key instead of a required one",
        ),
        pytest.param(
            GOOD + "training: {learning_rate: 0.1}\n",
            "c.yaml:3:12: training.learning_rate: unknown key; "
            "did you mean 'optimizer.learning_rate'?",
            id="key of another section",
        ),
        pytest.param(
            GOOD + "lr: 0.1\n",
            "c.yaml:3:1: lr: unknown key; did you mean 'optimizer.learning_rate'?",
            id="another program's word",
        ),
        pytest.param(
            GOOD + "zzz: 1\n",
            "c.yaml:3:1: zzz: unknown key; valid: task, data, model, loss, optimizer, training, "
            "checkpoints, decision, report",
            id="key like nothing",
        ),
        pytest.param(
            GOOD + "optimizer: {learning_rate: '1e-3'}\n",
            "c.yaml:3:28: optimizer.learning_rate: expected a number, got the text '1e-3'; "
            "write 0.001 without quotes",
            id="wrong type: a number in quotes",
        ),
        pytest.param(
            GOOD + "training: {epochs: 1e2}\n",
            "c.yaml:3:20: training.epochs: expected a whole number, got 100.0; write 100",
            id="wrong type: a fraction for a count",
        ),
        pytest.param(
            GOOD + "model: {hidden: 256}\n",
            "c.yaml:3:17: model.hidden: expected a list, got 256; write [256]",
            id="wrong type: no list",
        ),
        pytest.param(
            GOOD + "optimizer: sgd\n",
            "c.yaml:3:12: optimizer: expected a section of keys, got the text 'sgd'; "
            "write {name: sgd}",
            id="wrong type: no section",
        ),
        pytest.param(
            GOOD + "model:\nloss: {}\n",
            "c.yaml:3:7: model: expected a section of keys, got null; remove model for its "
            "defaults",
            id="wrong type: an empty section",
        ),
        pytest.param(
            GOOD + "optimizer: {name: adm}\n",
            "c.yaml:3:19: optimizer.name: unknown value 'adm'; did you mean 'adam'? "
            "(valid: sgd, momentum, adam, adamw, lion, rmsprop, adagrad)",
            id="unknown choice",
        ),
        pytest.param(
            GOOD + "loss: {name: hinge}\n",
            "c.yaml:3:14: loss.name: unknown value 'hinge'; "
            "valid: cross_entropy, squared_error, focal, asymmetric",
            id="unknown loss",
        ),
        pytest.param(
            "data: {source: breast_cancer}\n",
            "c.yaml:1:1: task: missing; add a line 'task: ' with one of binary, multiclass, "
            "multilabel",
            id="missing task",
        ),
        pytest.param(
            "task: binary\n",
            "c.yaml:1:1: data: missing; add a section such as 'data: {source: breast_cancer}'",
            id="missing data",
        ),
        pytest.param(
            "task: binary\ndata: {split: {seed: 1}}\n",
            "c.yaml:2:1: data: needs train (a .csv, .parquet or .npz file) or source (one of "
            "breast_cancer, digits, digit_attributes)",
            id="missing source",
        ),
        pytest.param(
            "task: binary\ndata:\n  source: breast_cancer\n  train: rows.npz\n",
            "c.yaml:4:10: data.train: given together with data.source: breast_cancer; remove one "
            "of the two",
            id="source and train",
        ),
        pytest.param(
            "task: binary\ndata: {train: rows.tsv}\n",
            "c.yaml:2:15: data.train: expected a .csv, .csv.gz, .parquet, .npz or XC .txt file",
            id="a file of another kind",
        ),
        pytest.param(
            "task: multiclass\ndata: {source: breast_cancer}\nloss: {name: focal}\n",
            "c.yaml:3:14: loss.name: focal is a loss of sigmoid outputs, each a label of its own, "
            "but the outputs of task: multiclass are a softmax and sum to one; the closed-form "
            "delta belongs to one pair of loss and output activation: use cross_entropy (or "
            "task: multilabel)",
            id="mismatched pair: task",
        ),
        pytest.param(
            GOOD + "loss: {activation: softmax}\n",
            "c.yaml:3:20: loss.activation: softmax does not belong to cross_entropy of task: "
            "binary: the closed-form delta belongs to one pair of loss and output activation, "
            "here sigmoid; softmax outputs sum to one and need categorical cross-entropy (task: "
            "multiclass); remove loss.activation",
            id="mismatched pair: activation",
        ),
        pytest.param(
            GOOD + "loss: {activation: sigmoid}\n",
            "c.yaml:3:20: loss.activation: sigmoid would be applied twice: cross_entropy of task: "
            "binary holds it already, because the closed-form delta belongs to one pair of loss "
            "and output activation; remove loss.activation",
            id="mismatched pair: applied twice",
        ),
        pytest.param(
            GOOD + "model:\n\thidden: [8]\n",
            "c.yaml:4:1: not valid YAML: a tab indents here; YAML indents with spaces",
            id="a tab",
        ),
        pytest.param(
            GOOD + "model: {dropout: 1}\n",
            "c.yaml:3:18: model.dropout: must be less than 1, got 1",
            id="out of range",
        ),
        pytest.param(
            GOOD + "optimizer: {learning_rate: 0}\n",
            "c.yaml:3:28: optimizer.learning_rate: must be greater than 0, got 0",
            id="rate of zero",
        ),
    ],
)
def test_text_of_a_mistake_in_a_file(problems, text: str, expected: str) -> None:
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "training.epochs",
            "override: 'training.epochs' is not key.path=value, such as "
            "optimizer.learning_rate=1e-2",
        ),
        ("training.epochs=", "override: training.epochs: no value; write training.epochs=null"),
        (
            "optimizer.learning_rat=1",
            "override: optimizer.learning_rat: unknown key; did you mean 'learning_rate'?",
        ),
        ("model.hidden=[8", "override: model.hidden: not valid YAML: a list is not closed"),
        ("training.epochs=many", "override: training.epochs: expected a whole number, got the"),
        (
            "task.x=1",
            "override: task.x: cannot be set, because task is not a section of keys",
        ),
    ],
)
def test_text_of_a_mistake_in_an_override(problems, override: str, expected: str) -> None:
    (line,) = problems(GOOD, [override])
    assert line.startswith(expected)


def test_text_of_a_missing_config(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_text(GOOD)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "binari.yaml")
    expected = f"{tmp_path}/binari.yaml: no such file; did you mean '{tmp_path}/binary.yaml'?"
    assert caught.value.problems == [expected]


def test_text_of_a_missing_data_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("task: binary\ndata: {train: rows.npz}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.problems == [
        f"{path}:2:15: data.train: no such file: '{tmp_path}/rows.npz' "
        "(relative paths start at the config's directory)"
    ]


def test_everything_is_said_at_once_from_the_top_of_the_file(problems) -> None:
    text = """\
task: binary
data: {sorce: breast_cancer, split: {validation: 1.5}}
model: {hidden: [8, x], activation: &a Relu}
loss: {gamma: 2, name: cross_entropy}
training: {early_stopping: {metric: micro_f1}, epochs: 1, epochs: 2}
"""
    lines = problems(text, ["training.seed=-1", "model.dropout"])
    assert [line.split(": ")[:2] for line in lines] == [
        ["c.yaml:2:8", "data.sorce"],
        ["c.yaml:2:50", "data.split.validation"],
        ["c.yaml:3:21", "model.hidden[1]"],
        ["c.yaml:3:37", "model.activation"],
        ["c.yaml:4:15", "loss.gamma"],
        ["c.yaml:5:37", "training.early_stopping.metric"],
        ["c.yaml:5:59", "training.epochs"],
        ["override", "'model.dropout' is not key.path=value, such as optimizer.learning_rate=1e-2"],
        ["override", "training.seed"],
    ]
