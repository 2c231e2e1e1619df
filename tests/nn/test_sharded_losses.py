"""Every loss under meshes of both kinds and under shard_map: eight devices against one."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "nn" / "sharded_losses.py"


def test_eight_devices_compute_what_one_does(environment: dict[str, str]):
    """In a process of its own: the number of devices is fixed when JAX starts."""
    flags = "--xla_force_host_platform_device_count=8"
    more = {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(PROGRAM)],
        capture_output=True,
        text=True,
        env={**environment, **more},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [
        "auto",
        "explicit",
        "in-part",
        "checked",
        "unchecked",
    ]
    assert os.environ.get("XLA_FLAGS") != flags
