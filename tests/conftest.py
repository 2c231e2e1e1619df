"""What every test relies on: strict JAX promotion, repeatable examples, caches of its own."""

import functools
import importlib.metadata
import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest

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
    if quick:
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    else:
        os.environ.pop("JAX_DISABLE_MOST_OPTIMIZATIONS", None)
    # A test that never imports JAX does not get it imported here.
    jax = sys.modules.get("jax")
    if jax is None:
        return
    # Promotion of dtypes and ranks is an error. Set through the config and not the environment, so
    # that commands started by a test run as they do for a user.
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_enable_compilation_cache", False)
    if quick != _compiling.get("quick"):
        _compile_quickly(jax, quick)
        jax.clear_caches()  # how it was compiled is no part of what JAX knows a program by


_compiling: dict[str, bool] = {}  # "quick": as the programs so far were compiled in this process


def _compile_quickly(jax: ModuleType, quick: bool) -> None:
    """Have programs compiled quickly from here on, or as for a user."""
    _compiling["quick"] = quick
    jax.config.update("jax_disable_most_optimizations", quick)
    version = importlib.metadata.version("jaxlib").split(".")
    if (int(version[0]), int(version[1])) >= (0, 12):
        return
    # The emitters of fused loops take most of the time. Up to 0.12 there are older ones to choose,
    # which take half of it; an option of one program only, so it is added to each.
    from jax._src import compiler

    original = inspect.unwrap(compiler.get_compile_options)

    @functools.wraps(original)
    def with_older_emitters(*args: Any, **more: Any) -> Any:
        given = more.get("env_options_overrides") or {}
        more["env_options_overrides"] = {**given, "xla_cpu_use_fusion_emitters": False}
        return original(*args, **more)

    compiler.get_compile_options = with_older_emitters if quick else original


@pytest.fixture
def environment() -> dict[str, str]:
    """For commands started by a test: none of the developer's terminal settings."""
    dropped = {"NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "TTY_COMPATIBLE"}
    return {name: value for name, value in os.environ.items() if name not in dropped}
