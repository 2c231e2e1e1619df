"""A config knows no jax, so it lists names; here they are held equal to what the rooms register."""

from jaxnet.config import names
from jaxnet.data import builtin, encoding
from jaxnet.nn import activations, mlp
from jaxnet.training import engines
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
    assert set(names.SCALES) == set(encoding.HOWS)
