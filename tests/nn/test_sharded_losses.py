"""Every loss under meshes of both kinds and under shard_map: eight devices against one."""

import pytest

from tests.nn import eight_devices
from tests.tiers import thorough


@pytest.mark.long
@pytest.mark.both
@pytest.mark.parametrize("cases", ["some", *thorough("all")])
def test_eight_devices_compute_what_one_does(environment: dict[str, str], cases: str):
    assert eight_devices.printed("sharded_losses.py", environment, cases) == [
        "auto",
        "explicit",
        "in-part",
        "checked",
        "unchecked",
    ]
