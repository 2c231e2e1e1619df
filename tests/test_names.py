"""A config knows no jax, so it lists names; here they are held equal to what the rooms register."""

from jaxnet.config import check_data, names
from jaxnet.data import builtin, columns, encoding, readers
from jaxnet.nn import activations, mlp
from jaxnet.outputs import predictions
from jaxnet.training import engines, thresholds
from jaxnet.training.tasks import TASKS


def test_activations():
    assert set(names.ACTIVATIONS) == set(activations.ACTIVATIONS)
    assert set(names.OUTPUT_ACTIVATIONS) == {*activations.ACTIVATIONS, "softmax"}
    assert {name: task.activation for name, task in TASKS.items()} == names.TASK_ACTIVATIONS


def test_inits():
    assert {*names.INITS, "zeros"} == set(mlp.INITS)


def test_gradients():
    assert set(names.GRADIENTS) == set(engines.ENGINES)


def test_data():
    assert set(names.BUILTIN_SOURCES) == set(builtin.BUILTIN_SOURCES)
    assert set(names.SCALES) == {*encoding.HOWS, "unit"}  # unit is of sparse rows
    assert names.COLUMN_KINDS == columns.KINDS


def test_rules_of_thresholds():
    assert names.THRESHOLD_RULES["binary"] == thresholds.RULES
    assert set(names.THRESHOLD_RULES) == set(TASKS)


def test_files_of_rows():
    assert set(check_data.TABLES) == set(predictions.SUFFIXES)
    assert set(check_data.TABLES) == set(readers.SUFFIXES)
