"""A loss of the user's own whose delta is wrong is refused before the first update."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import UserError
from jaxnet.nn import losses
from jaxnet.nn.losses import ELEMENTWISE, LOSSES, MULTICLASS
from jaxnet.training.own_loss import check_delta, rows_wanted

Y = np.float32(np.random.default_rng(0).integers(0, 2, (16, 3)))
CLASSES = np.int32(np.random.default_rng(0).integers(0, 9, 16))


def brier(name="brier", activation="sigmoid", **parts):
    """Squared error behind a sigmoid, with its derivative in the delta."""

    def value(z, y):
        return jnp.sum((jax.nn.sigmoid(z) - y) ** 2, axis=1) / 2

    def delta(z, y):
        return (jax.nn.sigmoid(z) - y) * jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)

    given = {"value": value, "delta": delta, "layout": ELEMENTWISE, **parts}
    return losses.make(name, activation=activation, **given)


RIGHT = brier().delta_of


@pytest.mark.parametrize(
    "delta",
    [
        pytest.param(lambda z, y: 2 * RIGHT(z, y), id="a factor"),
        pytest.param(lambda z, y: 1.01 * RIGHT(z, y), id="one percent"),
        pytest.param(lambda z, y: -RIGHT(z, y), id="a sign"),
        pytest.param(lambda z, y: jax.nn.sigmoid(z) - y, id="without the derivative"),
        pytest.param(lambda z, y: 0 * z, id="nothing"),
        pytest.param(lambda z, y: RIGHT(z, y) / len(z), id="divided by the rows"),
        pytest.param(lambda z, y: RIGHT(z, y).at[:, 1].multiply(1.5), id="one output"),
        pytest.param(lambda z, y: jnp.where(z > 2, jnp.nan, RIGHT(z, y)), id="not finite"),
    ],
)
def test_a_wrong_delta_is_refused_with_the_numbers(delta):
    with pytest.raises(UserError) as caught:
        check_delta(brier(delta=delta), {}, Y, 3)
    said = str(caught.value)
    assert said.startswith("loss brier: delta is not the derivative of the value. Along output ")
    for part in (" of training row ", "delta gives ", "finite differences of its value give ",
                 "limit 1e-03", "jaxnet.gradcheck.check(loss)"):  # fmt: skip
        assert part in said


def test_a_right_one_passes_whatever_it_is_made_of():
    check_delta(brier(), {}, Y, 3)
    check_delta(brier(), {}, Y[:, :1], 1)
    hinge = brier(  # with a kink
        value=lambda z, y: jnp.sum(jnp.maximum(0, 1 - (2 * y - 1) * z), axis=1),
        delta=lambda z, y: jnp.where((2 * y - 1) * z < 1, 1 - 2 * y, 0),
    )
    check_delta(hinge, {}, Y, 3)
    narrow = brier(  # whose value keeps float32 whatever is asked
        value=lambda z, y: brier().value_of(z.astype(jnp.float32), y.astype(jnp.float32))
    )
    check_delta(narrow, {}, Y, 3)
    domain = brier(  # not finite for half of the logits
        value=lambda z, y: jnp.sum(z * jnp.log(z), axis=1), delta=lambda z, y: jnp.log(z) + 1
    )
    check_delta(domain, {}, Y[:, :1], 1)


def test_options_are_those_of_the_run():
    def value(z, y, slope=1.0):
        return jnp.sum(slope * (z - y) ** 2, axis=1) / 2

    forgotten = brier(value=value, delta=lambda z, y, slope=1.0: z - y, options=("slope",))
    check_delta(forgotten, {}, Y, 3)
    with pytest.raises(UserError, match="off by"):
        check_delta(forgotten, {"slope": 3.0}, Y, 3)


def test_losses_of_many_classes_are_looked_at_along_directions():
    def value(z, y):
        return jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, y[:, None], axis=1)[:, 0]

    def delta(z, y):
        return jax.nn.softmax(z) - jax.nn.one_hot(y, z.shape[1])

    make = {"layout": MULTICLASS, "activation": "softmax", "value": value}
    check_delta(losses.make("right", delta=delta, **make), {}, CLASSES, 9)
    wrong = losses.make("wrong", delta=lambda z, y: jax.nn.softmax(z), **make)
    with pytest.raises(UserError, match="Along a direction of all outputs"):
        check_delta(wrong, {}, CLASSES, 9)
    assert rows_wanted(100_000) == 2


@pytest.mark.parametrize("name", ["binary_cross_entropy", "focal", "squared_error"])
def test_the_losses_of_the_package_would_pass(name):
    check_delta(LOSSES[name], {}, Y[:, :1], 1)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"value": lambda z, y: jnp.sum(z - y)}, r"value gives the shape \(\) .* must be \(16,\)"),
        ({"value": lambda z, y: z - y}, r"value gives the shape \(16, 3\) .* a number a row"),
        ({"delta": lambda z, y: jnp.sum(z - y, axis=1)}, r"delta gives .* a number a logit"),
        ({"value": lambda z, y: jnp.dot(z, y)}, r"value raises TypeError at logits of .*dot"),
    ],
)
def test_shapes_and_errors_of_it_are_told_by_its_name(parts, said):
    with pytest.raises(UserError, match=f"^loss brier: {said}"):
        check_delta(brier(**parts), {}, Y, 3)
