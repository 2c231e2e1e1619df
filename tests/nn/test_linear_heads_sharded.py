"""Classes over one mesh axis and rows over another: eight devices against one."""

import pytest

from tests.nn import eight_devices


@pytest.mark.both
def test_eight_devices_compute_what_one_does(
    environment: dict[str, str],
):
    assert eight_devices.printed("sharded_heads.py", environment) == [
        "gradients-of-the-whole",
        "gradients-inside",
        "updates",
        "omission-caught",
        "unchecked-refused",
    ]
