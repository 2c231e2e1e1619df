"""What every test relies on: strict JAX promotion, repeatable examples, caches of its own."""

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import compiling

# The same examples in every run and on every machine; what they find becomes a test of its own.
hypothesis.settings.register_profile(
    "jaxnet", derandomize=True, database=None, deadline=None, print_blob=True
)
hypothesis.settings.load_profile("jaxnet")


@pytest.fixture(autouse=True, scope="session")
def _cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Commands and runs in tests keep their caches out of the developer's own cache folder."""
    home = tmp_path_factory.mktemp("cache-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home))
        patch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
        yield home


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Settings of JAX, before any fixture of the test: modules' own compile under them too.

    Most programs run once, so they are compiled quickly, here and in commands that the test starts;
    the marker `optimised` has them compiled as for a user.
    """
    quick = item.get_closest_marker("optimised") is None
    compiling.choose_for_commands(quick)
    # A test that never imports JAX does not get it imported here.
    jax = sys.modules.get("jax")
    if jax is None:
        return
    # Promotion of dtypes and ranks is an error. Set through the config and not the environment, so
    # that commands started by a test run as they do for a user.
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_enable_compilation_cache", False)
    if quick != _compiled.get("quickly"):
        _compiled["quickly"] = quick
        compiling.choose(jax, quick)


_compiled: dict[str, bool] = {}  # "quickly": as the programs so far were compiled in this process


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every n-th case of sampled tests; long tests come first, programs as for a user last."""
    cases: Counter[tuple[object, str]] = Counter()
    for item in items:
        if item.get_closest_marker("thorough") is not None:
            continue
        sampled = item.get_closest_marker("sampled")
        test = (item.parent, getattr(item, "originalname", item.name))
        if sampled is not None and cases[test] % sampled.args[0]:
            item.add_marker(pytest.mark.thorough)
        cases[test] += 1
    # A long one that comes last would leave processors idle. And whenever the kind of compiling
    # changes, all that JAX has compiled is forgotten.
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    items.sort(key=lambda item: item.get_closest_marker("optimised") is not None)


def pytest_collection_finish() -> None:
    """What is imported stays: the collector of garbage need not look at it again and again."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@pytest.fixture
def environment() -> dict[str, str]:
    """For commands started by a test: none of the developer's terminal settings."""
    dropped = {"NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "TTY_COMPATIBLE"}
    return {name: value for name, value in os.environ.items() if name not in dropped}
