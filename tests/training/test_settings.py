"""The settings of JAX that change bits: all are known, held by a run, and given back."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import jax
import numpy as np
import pytest

from jaxnet.errors import CheckpointError
from jaxnet.training import settings
from jaxnet.training import state as states
from jaxnet.training.optimizer import Optimizer
from jaxnet.training.settings import FIXED, KEPT

# The others, by the reason why no bit of a run depends on them.
NO_BITS: Mapping[str, str] = {
    "what is said, shown, logged or dumped": """
        jax_captured_constants_report_frames jax_captured_constants_warn_bytes
        jax_compiler_detailed_logging_min_ops jax_debug_leaked_clients_on_clear_backends
        jax_debug_log_modules jax_distributed_debug jax_dump_ir_modes jax_dump_ir_to
        jax_explain_cache_misses jax_hlo_source_file_canonicalization_regex
        jax_include_debug_info_in_dumps jax_include_full_tracebacks_in_locations
        jax_log_checkpoint_residuals jax_log_compiles jax_logging_level
        jax_mosaic_unzip_debug_locations jax_pallas_verbose_errors jax_pprint_use_color
        jax_send_traceback_to_runtime jax_source_url_schema jax_traceback_filtering
        jax_traceback_in_locations_limit jax_tracer_error_num_traceback_frames""",
    "raises an error or changes nothing": """
        jax_array_garbage_collection_guard jax_check_proxy_envs jax_check_static_indices
        jax_check_tracer_leaks jax_debug_key_reuse jax_disable_bwd_checks
        jax_disable_vmap_shmap_error jax_disallow_mesh_context_manager jax_enable_checks
        jax_experimental_unsafe_xla_runtime_errors jax_legacy_prng_key jax_mutable_array_checks
        jax_no_execution jax_no_tracing jax_numpy_dtype_promotion jax_numpy_rank_promotion
        jax_pallas_enable_debug_checks jax_raise_on_ppermute_sort_diff jax_thread_guard
        jax_transfer_guard jax_transfer_guard_device_to_device
        jax_transfer_guard_device_to_host jax_transfer_guard_host_to_device""",
    "where compiled programs are kept": """
        jax_compilation_cache_check_contents jax_compilation_cache_dir
        jax_compilation_cache_expect_pgle jax_compilation_cache_include_metadata_in_key
        jax_compilation_cache_max_size jax_enable_compilation_cache
        jax_persistent_cache_enable_xla_caches jax_persistent_cache_min_compile_time_secs
        jax_persistent_cache_min_entry_size_bytes jax_raise_persistent_cache_errors
        jax_remove_custom_partitioning_ptr_from_cache_key jax_share_binary_between_hosts
        jax_share_binary_between_hosts_timeout_ms""",
    "the device, which a checkpoint names": """
        jax_backend_target jax_cuda_visible_devices jax_default_device jax_mock_gpu_topology
        jax_num_cpu_devices jax_oneapi_visible_devices jax_pjrt_client_create_options
        jax_platform_name jax_platforms jax_rocm_visible_devices jax_xla_backend
        mock_num_gpu_processes""",
    "several processes or devices, and a run has one": """
        check_vma jax_auto_pcast jax_cpu_collectives_implementation
        jax_cpu_get_global_topology_timeout_minutes jax_cpu_get_local_topology_timeout_minutes
        jax_cross_host_transfer_socket_address jax_cross_host_transfer_timeout_seconds
        jax_cross_host_transfer_transfer_size jax_cross_host_transport_addresses
        jax_distributed_verify_secure_credentials jax_enable_preemption_service
        jax_enable_recoverability jax_force_dcn_cross_host_transfers jax_mtls_ca_file
        jax_mtls_cert_file jax_mtls_key_file jax_mtls_peer_uri_prefix
        jax_remove_size_one_mesh_axis_from_type jax_sort_devices_by_process_index
        jax_use_rgv3""",
    "of functions that a run does not call (export, pallas, eig, ragged_dot, PRNGKey, jax.Ref)": """
        jax2tf_associative_scan_reductions jax2tf_default_native_serialization
        jax_enable_custom_prng jax_export_calling_convention_version
        jax_export_deserialize_expired_versions jax_export_ignore_forward_compatibility
        jax_mosaic_allow_hlo jax_pallas_auto_assign_collective_ids
        jax_pallas_auto_assign_collective_ids_limit jax_pallas_poison_buffers
        jax_ragged_dot_use_gpu_pallas_triton_lowering jax_ragged_dot_use_ragged_dot_instruction
        jax_refs_to_pins jax_serialization_version jax_use_emit_pipeline_primitive
        jax_use_magma""",
    "when the same program runs, or how it gets there": """
        jax_cpu_enable_async_dispatch jax_pgle_aggregation_percentile jax_pgle_profiling_runs
        jax_threefry_gpu_kernel_lowering jax_use_cpp_shard_args""",
}
HARMLESS = [name for names in NO_BITS.values() for name in names.split()]

OTHER: Mapping[str, Any] = {
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_random_seed_offset": 7,
    "jax_high_dynamic_range_gumbel": True,
    "jax_accurate_erf_inv": True,
    "jax_enable_x64": True,
    "jax_explicit_x64_dtypes": "allow",
    "jax_allow_f16_reductions": False,
    "jax_disable_jit": True,
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_error_checking_behavior_nan": "raise",
    "jax_error_checking_behavior_divide": "raise",
    "jax_error_checking_behavior_oob": "raise",
    "jax_softmax_custom_jvp": True,
    "eager_constant_folding": True,
}


@pytest.fixture(autouse=True)
def _given_back() -> Iterator[None]:
    before = dict(jax.config.values)
    yield
    for name, value in before.items():
        if jax.config.values[name] != value:
            jax.config.update(name, value)


def test_every_setting_of_jax_is_known() -> None:
    listed = [*FIXED, *KEPT, *HARMLESS]
    assert len(listed) == len(set(listed)), "a setting has one place"
    new = sorted(set(jax.config.values) - set(listed))
    assert not new, (
        f"settings of JAX that are new here: {', '.join(new)}. Look up what each one does. If it "
        "can change a draw, a type or a product, it belongs to jaxnet.training.settings: to FIXED "
        "if it follows from the config, else to KEPT. If it cannot, add it to NO_BITS above, "
        "under the reason."
    )


def test_what_is_fixed_is_what_jax_has_by_itself_and_can_be_set_otherwise() -> None:
    assert FIXED.keys() == OTHER.keys()
    for name in jax.config.values.keys() & FIXED.keys():
        assert settings.of_now()[name] == FIXED[name]
        jax.config.update(name, OTHER[name])
        assert settings.of_now()[name] == OTHER[name]
        jax.config.update(name, FIXED[name])


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_setting_is_held_and_given_back(name: str) -> None:
    if name not in jax.config.values:
        pytest.skip(f"jax {jax.__version__} has no {name}")
    jax.config.update(name, OTHER[name])
    before = dict(jax.config.values)
    with settings.held():
        assert settings.of_now()[name] == FIXED[name]
        with settings.held({name: OTHER[name]}):  # no checkpoint turns it
            assert settings.of_now()[name] == FIXED[name]
    assert jax.config.values == before


def test_a_setting_of_a_thread_is_held_too() -> None:
    with jax.enable_x64(True), jax.threefry_partitionable(False):
        with settings.held():
            assert not jax.config.values["jax_enable_x64"]
            assert jax.config.values["jax_threefry_partitionable"]
        assert jax.config.values["jax_enable_x64"]
        assert not jax.config.values["jax_threefry_partitionable"]


def test_the_users_choice_counts_until_a_checkpoint_says_otherwise() -> None:
    with jax.default_matmul_precision("highest"):
        with settings.held():
            assert jax.config.values["jax_default_matmul_precision"] == "highest"
        with settings.held({"jax_default_matmul_precision": None, "jax_optimization_level": "O1"}):
            assert jax.config.values["jax_default_matmul_precision"] is None
            assert jax.config.values["jax_optimization_level"] == "O1"
        assert jax.config.values["jax_default_matmul_precision"] == "highest"
        assert jax.config.values["jax_optimization_level"] == "UNKNOWN"


def test_a_checkpoint_of_another_jax_is_refused_by_name_or_passed_over() -> None:
    before = dict(jax.config.values)
    with settings.held({"jax_that_was_once": 1, "jax_enable_x64": True}):
        assert jax.config.values == before
    wrong = {"jax_optimization_level": "O9"}
    with pytest.raises(CheckpointError, match="jax_optimization_level='O9'"), settings.held(wrong):
        pass
    assert jax.config.values == before


def test_two_threads_hold_a_setting_of_the_process_until_both_are_done() -> None:
    jax.config.update("jax_random_seed_offset", 7)
    meet, leave = Barrier(2, timeout=60), Barrier(2, timeout=60)

    def compute(first: bool) -> tuple[int, int]:
        with settings.held():
            meet.wait()
            seen = jax.config.values["jax_random_seed_offset"]
            if not first:
                leave.wait()  # the other one has left its block
            still = jax.config.values["jax_random_seed_offset"]
        if first:
            leave.wait()
        return seen, still

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(compute, (True, False))) == [(0, 0), (0, 0)]
    assert jax.config.values["jax_random_seed_offset"] == 7


def test_the_first_state_is_the_same_whatever_the_process_draws_with() -> None:
    rates = states.hyper(learning_rate=0.1, total_steps=10)

    def begin() -> np.ndarray:
        states._compiled_begin.cache_clear()
        state = states.begin((3, 5, 2), Optimizer("sgd"), rates, seed=3)
        return np.asarray(state.params.layers[0].W)

    usual = begin()
    names = ("jax_default_prng_impl", "jax_threefry_partitionable", "jax_random_seed_offset")
    for name in names:
        jax.config.update(name, OTHER[name])
    with settings.held():
        assert np.array_equal(begin(), usual)
    assert not np.array_equal(begin(), usual)
    states._compiled_begin.cache_clear()
