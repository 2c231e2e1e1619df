"""Every loss under meshes of both kinds and under shard_map: eight devices against one."""

import pytest

from tests.nn import eight_devices


@pytest.mark.long
@pytest.mark.both
def test_eight_devices_compute_what_one_does(
    environment: dict[str, str],
):
    assert eight_devices.printed("sharded_losses.py", environment) == [
        "auto",
        "explicit",
        "in-part",
        "checked",
        "unchecked",
    ]
