"""The settings of JAX that change bits: held while a run computes, and recorded with it.

What a seed draws and of which type a number is follows from the config alone, so the settings of
these are the same in every run. How precisely products are taken and how programs are made is the
user's choice: a run records what it began with and goes on with that. Afterwards the settings are
again those of the user. `tests/training/test_settings.py` walks all settings of JAX.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from enum import Enum
from types import MappingProxyType
from typing import Any

import jax

from jaxnet.errors import CheckpointError

# The same in every run, whatever the process has.
FIXED: Mapping[str, Any] = MappingProxyType(
    {
        # draws
        "jax_default_prng_impl": "threefry2x32",
        "jax_threefry_partitionable": True,
        "jax_random_seed_offset": 0,
        "jax_high_dynamic_range_gumbel": False,
        "jax_accurate_erf_inv": False,  # normal numbers are made with it
        # types
        "jax_enable_x64": False,
        "jax_explicit_x64_dtypes": "warn",
        "jax_allow_f16_reductions": True,
        # programs: one operation at a time rounds otherwise, and checks of a run's own are better
        "jax_disable_jit": False,
        "jax_debug_nans": False,
        "jax_debug_infs": False,
        "jax_error_checking_behavior_nan": "ignore",
        "jax_error_checking_behavior_divide": "ignore",
        "jax_error_checking_behavior_oob": "ignore",
        "jax_softmax_custom_jvp": False,
        "eager_constant_folding": False,
    }
)

# The user's choice when a run begins.
KEPT = (
    # products
    "jax_default_matmul_precision",
    # how a function becomes a program
    "jax_bcoo_cusparse_lowering",
    "jax_custom_jvp3",
    "jax_custom_vjp3",
    "jax_embedded_constants_max_bytes",
    "jax_remat3",
    "jax_remat_barrier_no_cotangents",
    "jax_scan3",
    "jax_use_direct_linearize",
    "jax_use_hlo_logistic_lowering",
    "jax_use_shardy_partitioner",
    "jax_use_simplified_jaxpr_constants",
    # how the compiler makes it fast
    "jax_compiler_enable_remat_pass",
    "jax_disable_most_optimizations",
    "jax_enable_pgle",
    "jax_exec_time_optimization_effort",
    "jax_memory_fitting_effort",
    "jax_memory_fitting_level",
    "jax_optimization_level",
    "jax_xla_profile_version",
)

# Those that JAX sets for one thread alone; the others are the process's.
_OF_A_THREAD: Mapping[str, Any] = MappingProxyType(
    {
        name: getattr(jax, name.removeprefix("jax_"))
        for name in (
            "jax_default_prng_impl",
            "jax_threefry_partitionable",
            "jax_enable_x64",
            "jax_allow_f16_reductions",
            "jax_disable_jit",
            "jax_debug_nans",
            "jax_debug_infs",
            "jax_softmax_custom_jvp",
            "jax_default_matmul_precision",
        )
        if hasattr(jax, name.removeprefix("jax_"))  # they come and go
    }
)

_lock = threading.Lock()
_changed: dict[str, tuple[int, Any]] = {}  # name -> (blocks that hold it, what the user had)


def of_now() -> dict[str, Any]:
    """Every setting that changes bits, as it is here, for a checkpoint.

    >>> of_now()["jax_random_seed_offset"]
    0
    """
    now = jax.config.values  # settings come and go with the versions of JAX
    return {name: _plain(now[name]) for name in (*FIXED, *KEPT) if name in now}


def device() -> Any:
    """The device that computes: JAX's first, unless the user has chosen one as the default."""
    chosen = jax.config.values["jax_default_device"]
    if isinstance(chosen, str):
        return jax.local_devices(backend=chosen)[0]
    return jax.local_devices()[0] if chosen is None else chosen


@contextmanager
def held(recorded: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Compute with the settings of a run; afterwards those of the user are back.

    Args:
        recorded: `of_now()` of the run as it began; None, or a name that is missing in it: the run
            begins, or its checkpoint says nothing of that setting.

    Raises:
        CheckpointError: this JAX does not take a value that the run began with.
    """
    recorded, now = recorded or {}, jax.config.values
    kept = {name: recorded[name] for name in KEPT if name in recorded}
    differ = {name for name in kept if name in now and _plain(now[name]) != kept[name]}
    with ExitStack() as stack:
        for name, value in {**FIXED, **kept}.items():
            # What another thread holds goes back to the user's value when that one is done.
            if name in now and (_plain(now[name]) != value or name in _changed):
                try:
                    stack.enter_context(_set(name, value))
                except (ValueError, TypeError) as error:
                    raise CheckpointError(
                        f"the run began with JAX's setting {name}={value!r}, which jax "
                        f"{jax.__version__} does not take ({error}); go on with the jax it began "
                        "with, or start a new run with --run-dir DIR"
                    ) from None
        if differ:  # JAX does not tell the programs it has compiled apart by all of these
            jax.clear_caches()
            stack.callback(jax.clear_caches)
        yield


def _set(name: str, value: Any) -> AbstractContextManager[Any]:
    of_a_thread = _OF_A_THREAD.get(name)
    found: AbstractContextManager[Any] = (
        _for_the_process(name, value) if of_a_thread is None else of_a_thread(value)
    )
    return found


@contextmanager
def _for_the_process(name: str, value: Any) -> Iterator[None]:
    """Set by the first block that needs it, and set back by the last."""
    with _lock:
        blocks, before = _changed.get(name, (0, jax.config.values[name]))
        jax.config.update(name, value)
        _changed[name] = blocks + 1, before
    try:
        yield
    finally:
        with _lock:
            blocks, before = _changed.pop(name)
            if blocks > 1:
                _changed[name] = blocks - 1, before
            else:
                jax.config.update(name, before)


def _plain(value: Any) -> Any:
    """The value as a checkpoint and `jax.config.update` take it."""
    return value.name.lower() if isinstance(value, Enum) else value
