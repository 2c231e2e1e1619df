"""The gradient check: what it finds of the built-in losses, and that it finds what is planted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.errors import LossPairError, UserError
from jaxnet.nn import backprop, gradcheck, losses
from jaxnet.nn.activations import sigmoid, softplus
from jaxnet.nn.gradcheck import Case, GradientError, Report
from jaxnet.nn.losses import ELEMENTWISE, LOSSES, MULTICLASS, Loss, core

KINDS = {"hard", "soft", "smoothed", "weighted"}
FEW = ("binary_cross_entropy", "categorical_cross_entropy", "multilabel_cross_entropy")
FLOAT32 = {"hidden": (), "dtypes": [jnp.float32]}


@pytest.fixture(scope="module")
def report() -> Report:
    """Of the losses that most people train with."""
    return gradcheck.run(FEW)


@pytest.fixture(scope="module")
def whole() -> Report:
    """The whole check, as the command of the README has it."""
    done = subprocess.run(
        [sys.executable, "-m", "jaxnet", "gradcheck", "--json"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["ok"] is True
    return Report(tuple(Case(**case) for case in found["cases"])).require()


def of(report: Report, **fields: Any) -> list[Case]:
    return [case for case in report.cases if all(getattr(case, k) == v for k, v in fields.items())]


def within_limits(report: Report) -> None:
    report.require()
    for case in report.cases:
        assert case.ok
        if case.dtype == "float32":
            limit = 5e-6 if case.activation == "softmax" else 2e-6
        else:
            limit = 4e-3 if case.scope != "network" else 2e-2
        assert case.limit == limit, case.title
        for error in (case.closed_form, case.forward_mode or 0.0, case.backprop or 0.0):
            assert 0 <= error <= limit, case.title
        assert case.finite_differences <= 1e-7, case.title


def test_every_gradient_is_within_its_limit(report: Report):
    assert {case.loss for case in report.cases} == set(FEW)
    within_limits(report)


@pytest.mark.thorough
@pytest.mark.optimised
def test_the_whole_leaves_nothing_out(whole: Report):
    report = whole
    within_limits(report)
    assert {case.loss for case in report.cases} == set(LOSSES)
    squared = {case.activation for case in of(report, loss="squared_error")}
    assert squared == {"identity", "sigmoid", "tanh", "softmax"}
    for pair in {(case.loss, case.activation) for case in report.cases}:
        for dtype in ("float32", "bfloat16"):
            found = of(report, loss=pair[0], activation=pair[1], dtype=dtype)
            scopes = [case.scope for case in found]
            assert {case.targets for case in found if case.scope == "logits"} == KINDS
            network = ["network"] if pair[0] != "squared_error" or pair[1] == "softmax" else []
            of_float32 = ["sample_weights"] if dtype == "float32" else []
            assert sorted(scopes) == sorted(["logits"] * 4 + ["targets", *of_float32, *network])
    networks = of(report, scope="network")
    assert {case.loss for case in networks} == set(LOSSES)
    assert len({case.hidden for case in networks}) == len(networks) / 2 >= 6


@pytest.mark.parametrize("loss", FEW)
def test_autodiff_of_the_usual_form_loses_everything(report: Report, loss: str):
    (hard,) = of(report, loss=loss, dtype="float32", targets="hard", scope="logits")
    assert hard.autodiff > 0.99


@pytest.mark.thorough
@pytest.mark.optimised
def test_autodiff_of_the_squared_error_loses_everything_behind_a_sigmoid(whole: Report):
    found = of(whole, loss="squared_error", dtype="float32", targets="hard", scope="logits")
    lost = {case.activation: case.autodiff > 0.99 for case in found}
    assert lost == {"identity": False, "sigmoid": True, "tanh": True, "softmax": True}


def test_the_report_as_json_keeps_the_contract(report: Report):
    found = json.loads(report.to_json())
    assert found["ok"] is True
    assert len(found["cases"]) == len(report.cases)
    for case in found["cases"]:
        assert set(case) >= {
            *("loss", "dtype", "targets", "closed_form", "autodiff", "limit", "ok"),
            *("activation", "scope", "forward_mode", "backprop", "finite_differences", "hidden"),
        }
        assert isinstance(case["ok"], bool)
        assert all(isinstance(case[k], float) for k in ("closed_form", "autodiff", "limit"))
        assert case["dtype"] in ("float32", "bfloat16")
        assert case["targets"] in KINDS


def make(name: str, **changed: Any) -> Loss:
    """Binary cross-entropy of K columns, with parts replaced."""

    def value(z, y):
        return jnp.sum((1 - y) * softplus(z) + y * softplus(-z), axis=1)

    def delta(z, y):
        return (1 - y) * sigmoid(z) - y * sigmoid(-z)

    def scale(z, y):
        return (1 - y) * sigmoid(z) + y * sigmoid(-z)

    parts = {"value": value, "delta": delta, "scale": scale, **changed}
    return losses.make(name, layout=ELEMENTWISE, activation="sigmoid", **parts)


def failures(loss: Loss, **options: Any) -> tuple[str, Report]:
    """The message and the cases of a check that must fail."""
    with pytest.raises(GradientError) as refused:
        gradcheck.check(loss, **{**FLOAT32, **options})
    assert refused.value.exit_code == 1
    return str(refused.value), refused.value.report


def test_a_loss_of_ones_own_passes():
    found = gradcheck.check(make("mine"), hidden=("tanh",))
    assert found.ok
    assert {case.loss for case in found.cases} == {"mine"}
    assert {case.dtype for case in found.cases} == {"float32", "bfloat16"}
    assert {case.hidden for case in of(found, scope="network")} == {"tanh"}


def test_a_delta_off_by_one_in_ten_thousand_is_found():
    right = make("right")
    wrong = make("wrong", delta=lambda z, y: right.delta_of(z, y) * 1.0001)
    message, found = failures(wrong)
    hard = of(found, targets="hard", scope="logits")[0]
    np.testing.assert_allclose(hard.finite_differences, 1e-4, rtol=1e-2)
    np.testing.assert_allclose(hard.closed_form, 1e-4, rtol=1e-2)
    assert hard.autodiff < 1e-6  # the reference is no longer the float64 delta
    assert "wrong behind sigmoid, float32, hard targets: delta is not the derivative" in message
    assert "at z = [" in message


def test_a_delta_that_is_wrong_in_the_tail_only_is_found():
    right = make("right_but_short")
    message, _ = failures(
        make("short", delta=lambda z, y: jnp.where(jnp.abs(z) < 30, right.delta_of(z, y), 0))
    )
    assert "finite differences are off by" in message


def test_a_value_that_does_not_fit_its_delta_is_found():
    right = make("fits")
    message, _ = failures(make("steep", value=lambda z, y: right.value_of(z, y) * 1.0001))
    assert "delta is not the derivative of the loss" in message


def test_a_delta_that_loses_digits_is_found_although_it_is_the_derivative():
    # In float64 as printed it lasts to z = 37, in float32 to 17.
    message, found = failures(make("as_printed", delta=lambda z, y: sigmoid(z) - y), reach=18.0)
    hard = of(found, targets="hard", scope="logits")[0]
    assert hard.closed_form > 0.99
    assert hard.finite_differences < 1e-6
    assert "the closed form is off by 1.0e+00 (relative; limit 2e-06)" in message
    assert "write delta without the subtraction that loses them" in message


def test_a_delta_that_loses_its_last_digits_is_beyond_the_limit():
    # 14 bits in float32, 3e-5; in float64 nothing is lost that finite differences see.
    right = make("exact")

    def delta(z, y):
        found = right.delta_of(z, y)
        return found if z.dtype == np.float64 else jax.lax.reduce_precision(found, 8, 14)

    message, found = failures(make("rounded", delta=delta))
    hard = of(found, targets="hard", scope="logits")[0]
    assert 2e-6 < hard.closed_form < 1e-3
    assert hard.finite_differences < 1e-6
    assert "limit 2e-06" in message


def test_a_delta_that_is_not_a_number_is_all_lost():
    right = make("finite")
    wrong = make("not_finite", delta=lambda z, y: jnp.where(z == 0, jnp.nan, right.delta_of(z, y)))
    _, found = failures(wrong)
    assert of(found, targets="hard", scope="logits")[0].closed_form == 1.0


@pytest.mark.parametrize("ignored", ["class_weight", "label_smoothing"])
def test_a_delta_that_ignores_an_option_is_found(ignored: str):
    def read(y, class_weight=None, label_smoothing=0.0):
        y = (1 - label_smoothing) * y + label_smoothing / 2
        return y, 1.0 if class_weight is None else class_weight[None, :]

    def value(z, y, **options):
        y, w = read(y, **options)
        return jnp.sum(w * ((1 - y) * softplus(z) + y * softplus(-z)), axis=1)

    def delta(z, y, **options):
        y, w = read(y, **{k: v for k, v in options.items() if k != ignored})
        return w * ((1 - y) * sigmoid(z) - y * sigmoid(-z))

    def scale(z, y, **options):
        y, w = read(y, **options)
        return w * ((1 - y) * sigmoid(z) + y * sigmoid(-z))

    loss = make(
        "deaf", value=value, delta=delta, scale=scale, options=("class_weight", "label_smoothing")
    )
    _, found = failures(loss)
    kind = {"class_weight": "weighted", "label_smoothing": "smoothed"}[ignored]
    assert {case.targets for case in found.failures} == {kind}


def test_a_wrong_backward_pass_is_found(monkeypatch: pytest.MonkeyPatch):
    right = backprop.backward

    def wrong(*args, **options):
        first, *rest = right(*args, **options)
        return (first._replace(b=1.001 * first.b), *rest)

    monkeypatch.setattr(backprop, "backward", wrong)
    message, found = failures(make("behind_a_wrong_pass"), hidden=("tanh",))
    (case,) = found.failures
    assert case.scope == "network"
    np.testing.assert_allclose(case.backprop, 1e-3, rtol=1e-2)
    assert case.closed_form < 2e-6
    assert "network of tanh layers: backprop is off by 1.0e-03" in message
    assert "in b_1" in message


def test_rows_of_classes_are_checked_as_rows():
    def value(z, y):
        rows = jax.nn.one_hot(y, z.shape[1]) if y.ndim == 1 else y
        return jnp.sum((z - rows) ** 2, axis=1) / 2 + jnp.prod(jnp.cos(z), axis=1)

    def delta(z, y):
        rows = jax.nn.one_hot(y, z.shape[1]) if y.ndim == 1 else y
        return z - rows - jnp.tan(z) * jnp.prod(jnp.cos(z), axis=1, keepdims=True)

    coupled = losses.make(
        *("coupled",),
        value=value,
        delta=delta,
        layout=MULTICLASS,
        scale=lambda z, y: jnp.abs(z) + 1,
    )
    with jax.numpy_dtype_promotion("standard"):
        found = gradcheck.check(coupled, reach=3.0, limit=1e-5, **FLOAT32)
    assert {case.targets for case in found.cases} == KINDS


OPTIONS = [
    ("asymmetric", {"gamma_pos": 1.0, "gamma_neg": 2.0, "clip": 0.0}),
    ("squared_error", {"activation": "softplus"}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_options_of_a_loss_can_be_checked(name: str, options: dict[str, Any]):
    found = gradcheck.check(LOSSES[name], **options, **FLOAT32)
    assert found.ok
    assert {case.activation for case in found.cases} == {options.get("activation", "sigmoid")}


def test_registered_losses_are_found_by_name(monkeypatch: pytest.MonkeyPatch):
    mine = make("mine_by_name", delta=lambda z, y: 0 * z)
    monkeypatch.setitem(core._REGISTRY, mine.name, mine)
    found = gradcheck.run(["mine_by_name"], networks=False)
    assert not found.ok
    assert {case.loss for case in found.failures} == {"mine_by_name"}
    with pytest.raises(UserError, match="no loss is called 'mine_by_nme'; did you mean 'mine_by_"):
        gradcheck.run("mine_by_nme")


def test_a_pair_that_does_not_belong_together_is_refused():
    with pytest.raises(LossPairError, match="belongs to one pair"):
        gradcheck.check(LOSSES["binary_cross_entropy"], activation="softmax")


def test_a_layout_without_examples_is_refused_with_what_it_takes():
    layout = ELEMENTWISE._replace(accepts="cubes (m, m, m)", fits=lambda z, y: z.ndim == 3)
    cubes = losses.make(
        "cubes", value=lambda z, y: z, delta=lambda z, y: z, layout=layout, activation="identity"
    )
    with pytest.raises(UserError, match=r"cannot make examples for cubes: its layout takes cubes"):
        gradcheck.check(cubes)


def test_the_global_setting_of_float64_stays_and_changes_nothing():
    loss = make("with_and_without")
    assert not jax.config.jax_enable_x64
    narrow = gradcheck.check(loss, **FLOAT32)
    assert not jax.config.jax_enable_x64
    with jax.enable_x64(True):
        wide = gradcheck.check(make("with_and_without"), **FLOAT32)
        assert jax.config.jax_enable_x64
    for one, other in zip(narrow.cases, wide.cases, strict=True):
        assert one.dtype == other.dtype == "float32"
        assert one.closed_form == other.closed_form
