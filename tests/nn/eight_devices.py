"""Programs that are tried on eight devices of one processor, in a process of their own.

The number of devices is fixed when JAX starts.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed(program: str, environment: dict[str, str], *words: str) -> list[str]:
    """What `tests/nn/PROGRAM WORDS` prints, a word for each thing that holds; it must not fail."""
    more = {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count=8 {environment.get('XLA_FLAGS', '')}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "tests" / "nn" / program), *words],
        capture_output=True,
        text=True,
        env={**environment, **more},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()
