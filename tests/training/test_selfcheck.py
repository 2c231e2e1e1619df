"""The self-check of the sums passes here, and fails where a sum is wrong or a release is known."""

import math
from itertools import count

import jax
import jax.numpy as jnp
import pytest

from jaxnet.errors import RunFailed
from jaxnet.training import selfcheck
from jaxnet.training.selfcheck import Shape

SHORT = 0.02


def right(ones: jax.Array, shape: Shape) -> jax.Array:
    return jnp.float32(math.prod(shape))


def test_the_installed_jaxlib_adds_up() -> None:
    assert selfcheck.selfcheck() == []


def test_every_sum_is_exact_in_float32_in_any_order() -> None:
    assert all(math.prod(shape) < 2**24 for shape in selfcheck._CALLERS)


@pytest.mark.parametrize("version", ["0.10.2", "0.11.0", "0.11.2", "0.11.3.dev1"])
def test_known_releases_are_refused_on_cpu_with_the_fix(version: str) -> None:
    with pytest.raises(RunFailed, match=rf"jaxlib {version} returns wrong sums .*pip install") as e:
        selfcheck.selfcheck(version=version, platform="cpu")
    assert e.value.exit_code == 1


@pytest.mark.parametrize(("version", "warnings"), [("0.11.0", 1), ("0.12.0.1", 0)])
def test_on_an_accelerator_they_are_worth_a_warning(version: str, warnings: int) -> None:
    found = selfcheck.selfcheck(version=version, platform="gpu")
    assert len(found) == warnings
    assert all("to replace it" in text for text in found)


@pytest.mark.parametrize("off", [-0.027, 2**-23, math.nan])
def test_the_check_can_fail(off: float) -> None:
    """One wrong sum among many is enough, however little it is off."""
    calls = count()

    def wrong_now_and_then(ones: jax.Array, shape: Shape) -> jax.Array:
        error = off if next(calls) == 20 else 0.0
        return right(ones, shape) * jnp.float32(1 + error)

    with pytest.raises(RunFailed, match=r"1 of \d+ were off, by up to .*pip install"):
        selfcheck.selfcheck(seconds=5 * SHORT, add_up=wrong_now_and_then, platform="cpu")


def test_what_was_counted() -> None:
    sums = selfcheck.check_sums(seconds=SHORT, add_up=lambda ones, shape: 1.01 * right(ones, shape))
    assert sums.calls == sums.wrong >= 3
    assert sums.worst == pytest.approx(0.01, rel=1e-4)


def test_the_fix_names_a_release_that_is_not_refused() -> None:
    assert "jaxlib" in selfcheck.how_to_fix()
    for release in ("0.10.1", "0.12.0.1"):
        assert not selfcheck.known_wrong(release)


def test_a_process_adds_up_once(monkeypatch: pytest.MonkeyPatch):
    calls: list[int] = []
    monkeypatch.setattr(selfcheck, "selfcheck", lambda: calls.append(1) or ["a doubt"])
    selfcheck.once.cache_clear()
    try:
        assert [selfcheck.once(), selfcheck.once(), calls] == [("a doubt",), ("a doubt",), [1]]
    finally:
        selfcheck.once.cache_clear()
