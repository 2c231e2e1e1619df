"""Programs of tests are compiled quickly: most of them run once."""

import functools
import importlib.metadata
import inspect
import os
from types import ModuleType
from typing import Any

_VERSION = tuple(int(part) for part in importlib.metadata.version("jaxlib").split(".")[:2])
# The emitters of fused loops take most of the time. Up to 0.12 there are older ones to choose.
OLDER_EMITTERS = _VERSION < (0, 12)

# Of commands that a test starts; and the same variables as the developer has them.
QUICKLY = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
_AS_FOR_A_USER: dict[str, str | None] = {"JAX_DISABLE_MOST_OPTIMIZATIONS": None}
if OLDER_EMITTERS:
    _AS_FOR_A_USER["XLA_FLAGS"] = os.environ.get("XLA_FLAGS")
    flags = [os.environ.get("XLA_FLAGS", ""), "--xla_cpu_use_fusion_emitters=false"]
    QUICKLY["XLA_FLAGS"] = " ".join(filter(None, flags))


def choose_for_commands(quick: bool) -> None:
    """Have programs of commands compiled quickly from here on, or as for a user."""
    for name, value in (QUICKLY if quick else _AS_FOR_A_USER).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def choose(jax: ModuleType, quick: bool) -> None:
    """Have programs compiled quickly in this process from here on, or as for a user."""
    jax.config.update("jax_disable_most_optimizations", quick)
    if OLDER_EMITTERS:
        _choose_emitters(quick)
    jax.clear_caches()  # how it was compiled is no part of what JAX knows a program by


def _choose_emitters(quick: bool) -> None:
    """An option of one program only, so it is added to each; XLA reads its flags but once."""
    from jax._src import compiler

    original = inspect.unwrap(compiler.get_compile_options)

    @functools.wraps(original)
    def with_emitters(*args: Any, **more: Any) -> Any:
        given = more.get("env_options_overrides") or {}
        more["env_options_overrides"] = {**given, "xla_cpu_use_fusion_emitters": not quick}
        return original(*args, **more)

    compiler.get_compile_options = with_emitters
