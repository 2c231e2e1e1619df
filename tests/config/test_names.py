"""The lists of names agree with each other."""

from jaxnet.config import names


def test_tables_cover_exactly_the_names() -> None:
    assert set(names.SOURCE_TASKS) == set(names.BUILTIN_SOURCES)
    assert set(names.TASK_ACTIVATIONS) == set(names.METRICS) == set(names.TASKS)
    assert set(names.LOSS_TASKS) == set(names.LOSS_OPTIONS) == set(names.LOSS_NAMES)
    assert set(names.OPTIMIZER_OPTIONS) == set(names.OPTIMIZERS)
    assert set(names.SCHEDULE_OPTIONS) == set(names.SCHEDULES)


def test_every_metric_has_a_direction_and_every_task_the_common_ones() -> None:
    assert set(names.METRIC_DIRECTIONS) == {m for one in names.METRICS.values() for m in one}
    assert all({"log_loss", "loss", "accuracy"} <= set(one) for one in names.METRICS.values())


def test_output_activations_are_the_hidden_ones_and_softmax() -> None:
    assert set(names.OUTPUT_ACTIVATIONS) == {*names.ACTIVATIONS, "softmax"}
    assert set(names.TASK_ACTIVATIONS.values()) <= set(names.OUTPUT_ACTIVATIONS)


def test_tables_name_keys_that_exist() -> None:
    from jaxnet.config import LossConfig, OptimizerConfig, ScheduleConfig

    for table, section in (
        (names.LOSS_OPTIONS, LossConfig),
        (names.OPTIMIZER_OPTIONS, OptimizerConfig),
        (names.SCHEDULE_OPTIONS, ScheduleConfig),
    ):
        options = {option for one in table.values() for option in one}
        assert options <= set(section.model_fields)
