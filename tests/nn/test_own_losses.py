"""Losses that users make and register, and the docstrings of those that are built in."""

import copy
import doctest
import importlib
import inspect
import pickle
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnet
from jaxnet.errors import LossPairError, UserError
from jaxnet.nn import backprop, losses, mlp
from jaxnet.nn.losses import ELEMENTWISE, LOSSES, MULTICLASS, core
from tests.nn.rows import close, same


def logcosh(name: str = "logcosh") -> losses.Loss:
    """log cosh((z - y) / width), summed over the outputs."""
    return losses.make(
        name,
        layout=ELEMENTWISE,
        options=("width",),
        value=lambda z, y, width=1.0: jnp.sum(jnp.log(jnp.cosh((z - y) / width)), axis=1),
        delta=lambda z, y, width=1.0: jnp.tanh((z - y) / width) / width,
        seed=lambda a, y, width=1.0: jnp.tanh((a - y) / width) / width,
        scale=lambda z, y, width=1.0: jnp.abs(jnp.tanh((z - y) / width) / width),
    )


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of the test's own."""
    copy = dict(LOSSES)
    monkeypatch.setattr(core, "_REGISTRY", copy)
    monkeypatch.setattr(core, "LOSSES", MappingProxyType(copy))


@pytest.mark.optimised
def test_two_functions_make_a_loss_with_all_that_the_others_have():
    loss = logcosh()
    z, y = jnp.asarray([[0.5, -2.0], [3.0, 1.0]]), jnp.asarray([[0.0, 1.0], [1.0, 1.0]])
    g = jnp.asarray([2.0, -0.5])
    value, pull = jax.vjp(lambda z: loss(z, y, width=2.0), z)
    same(value, loss.plain(z, y, width=2.0))
    same(value, loss.forward_mode(z, y, width=2.0))
    same(pull(g)[0], g[:, None] * loss.delta(z, y, width=2.0))
    same(loss.seed(z, y, width=2.0), loss.delta(z, y, width=2.0))
    by_autodiff = jax.grad(lambda w: jnp.sum(loss.plain(z, y, width=w)))(2.0)
    close(jax.grad(lambda w: jnp.sum(loss(z, y, width=w)))(2.0), by_autodiff, 1e-6)
    assert loss(z.astype(jnp.bfloat16), y).dtype == jnp.float32
    with pytest.raises(UserError, match="reshape one of them"):
        loss(z, y[:, :1])
    with pytest.raises(UserError, match="logcosh takes no option 'gamma'; it takes width"):
        loss(z, y, gamma=2.0)
    with pytest.raises(LossPairError, match="logcosh belongs to identity"):
        loss(z, y, activation="sigmoid")


def test_a_loss_looks_like_a_function():
    """What editors, `help` and functools see."""
    for name, options in {
        "focal": {"gamma": 2.0, "labels": "sum", "label_smoothing": 0.0, "class_weight": None},
        "asymmetric": {"gamma_pos": 0.0, "gamma_neg": 4.0, "clip": 0.05},
        "squared_error": {"activation": "identity"},
    }.items():
        loss = LOSSES[name]
        assert loss.__name__ == name
        for form in (loss, loss.delta, loss.plain, loss.forward_mode):
            known = inspect.signature(form).parameters
            assert list(known)[:2] == ["logits", "targets"]
            assert {option: known[option].default for option in options} == options
    own = inspect.signature(logcosh()).parameters
    assert own["width"].default == 1.0
    assert own["width"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.usefixtures("registry")
def test_a_copy_or_a_pickle_of_a_loss_is_the_loss(monkeypatch: pytest.MonkeyPatch):
    for loss in (losses.focal, losses.register(logcosh("mine"))):
        assert pickle.loads(pickle.dumps(loss)) is loss
        assert copy.deepcopy({"loss": loss})["loss"] is loss
        assert copy.copy(loss) is loss
        assert pickle.loads(pickle.dumps(loss.plain)) == loss.plain
    with pytest.raises(UserError, match=r"pass it to losses\.register first"):
        pickle.dumps(logcosh("nobody_knows"))
    text = pickle.dumps(core.LOSSES["mine"])
    monkeypatch.setattr(core, "LOSSES", MappingProxyType({}))
    with pytest.raises(UserError, match=r"pass it to losses\.register before you unpickle"):
        pickle.loads(text)


def test_public_modules_are_importable_as_they_are_named():
    for name in ("losses", "mlp", "backprop", "activations", "gradcheck", "linear_heads"):
        found = importlib.import_module(f"jaxnet.{name}")
        assert getattr(jaxnet, name) is found
        inner = importlib.import_module(f"jaxnet.nn.{name}")
        public = getattr(inner, "__all__", None) or [
            one for one in vars(found) if not one.startswith("_")
        ]
        for one in public:
            assert getattr(found, one) is getattr(inner, one)
    from jaxnet.losses import categorical_cross_entropy

    assert categorical_cross_entropy is LOSSES["categorical_cross_entropy"]


def test_its_delta_and_not_autodiff_of_its_value_is_the_gradient():
    zero = losses.make(
        "zero", layout=ELEMENTWISE, value=lambda z, y: jnp.sum(z, axis=1), delta=lambda z, y: 0 * z
    )
    z = jnp.ones((2, 3))
    same(jax.grad(lambda z: jnp.sum(zero(z, z)))(z), np.zeros((2, 3)))
    same(jax.grad(lambda z: jnp.sum(zero.forward_mode(z, z)))(z), np.zeros((2, 3)))
    same(jax.grad(lambda z: jnp.sum(zero.plain(z, z)))(z), np.ones((2, 3)))


@pytest.mark.usefixtures("registry")
def test_a_registered_loss_is_found_by_name_and_trains():
    loss = losses.register(logcosh("my_logcosh"))
    assert core.LOSSES["my_logcosh"] is loss
    assert losses.register(loss) is loss  # the same one again is no conflict
    params = mlp.init(jax.random.key(0), [3, 8, 2])
    x, y = jnp.eye(3), jnp.ones((3, 2))
    first, slopes = backprop.gradients(params, x, y, loss)
    params = jax.tree.map(lambda w, dw: w - 0.1 * dw, params, slopes)
    assert backprop.gradients(params, x, y, loss)[0] < first


@pytest.mark.usefixtures("registry")
def test_a_second_loss_of_a_name_is_refused():
    losses.register(logcosh("taken"))
    with pytest.raises(UserError, match="a loss called 'taken' is registered already"):
        losses.register(logcosh("taken"))
    with pytest.raises(UserError, match="'focal' is registered already; choose another name"):
        losses.register(logcosh("focal"))
    assert core.LOSSES["focal"] is losses.focal


@pytest.mark.parametrize("name", ["my loss", "", "1st", "a-b"])
def test_a_name_must_be_a_word(name: str):
    with pytest.raises(UserError, match="must be a plain word, such as 'my_loss'"):
        logcosh(name)


def test_the_registry_cannot_be_written_past_register():
    with pytest.raises(TypeError):
        LOSSES["focal"] = logcosh()
    assert set(LOSSES) >= {
        *("binary_cross_entropy", "categorical_cross_entropy", "multilabel_cross_entropy"),
        *("squared_error", "focal", "asymmetric"),
    }
    for name, loss in LOSSES.items():
        assert loss.name == name
        assert getattr(losses, name) is loss


def test_a_loss_of_classes_sees_labels_and_rows():
    margin = losses.make(
        "margin",
        layout=MULTICLASS,
        value=lambda z, y: jnp.sum(z * _rows(z, y), axis=1),
        delta=lambda z, y: _rows(z, y),
    )
    z = jnp.arange(6.0).reshape(2, 3)
    same(margin(z, jnp.asarray([2, 0])), [2, 3])
    same(margin(z, jnp.asarray([[0.5, 0.5, 0], [0, 0, 1]])), [0.5, 5])


def _rows(z: jax.Array, y: jax.Array) -> jax.Array:
    return jax.nn.one_hot(y, z.shape[1]) if y.ndim == 1 else y


@pytest.mark.parametrize("name", LOSSES)
def test_the_examples_of_a_loss_run(name: str):
    """The docstrings of losses hang on instances, where the collection of doctests misses them."""
    loss = LOSSES[name]
    text = loss.__doc__ or ""
    assert ">>>" in text
    assert "Shapes:" in text
    names = {"jnp": jnp, name: loss}
    options = doctest.NUMBER if hasattr(doctest, "NUMBER") else 0
    parsed = doctest.DocTestParser().get_doctest(text, names, name, None, None)
    runner = doctest.DocTestRunner(verbose=False, optionflags=options | doctest.ELLIPSIS)
    assert runner.run(parsed).failed == 0
    assert parsed.examples
