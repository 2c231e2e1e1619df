"""Networks, backward passes, bags and heads on eight devices: the numbers of one."""

import pytest

from tests.nn import eight_devices
from tests.tiers import thorough

SOME = ("mlp", "backprop-bfloat16", "embedding-backprop", "bags", "categorical", "ranking")
ALL = (
    *("mlp", "mlp-bfloat16", "backprop", "backprop-bfloat16", "embedding", "embedding-backprop"),
    *("bags", "categorical", "multilabel-sum", "forward-mode", "ranking"),
)


@pytest.mark.long
@pytest.mark.parametrize("names", [SOME, *thorough((ALL,))], ids=["some", "all"])
def test_on_meshes_of_either_kind_and_in_shards_the_numbers_are_those_of_one_device(
    environment: dict[str, str], names: tuple[str, ...]
):
    assert eight_devices.printed("meshed.py", environment, *names) == [*names, "update"]
