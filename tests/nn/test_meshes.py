"""Networks, backward passes, bags and heads on eight devices: the numbers of one."""

import pytest

from tests.nn import eight_devices


@pytest.mark.long
def test_on_meshes_of_either_kind_and_in_shards_the_numbers_are_those_of_one_device(
    environment: dict[str, str],
):
    assert eight_devices.printed("meshed.py", environment) == [
        "mlp",
        "mlp-bfloat16",
        "backprop",
        "backprop-bfloat16",
        "embedding",
        "embedding-backprop",
        "bags",
        "categorical",
        "multilabel-sum",
        "forward-mode",
        "ranking",
        "update",
    ]
