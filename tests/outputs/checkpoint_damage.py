"""Damage to a checkpoint by chance, the same for a seed everywhere; and whether it is seen."""

import random
from pathlib import Path

import numpy as np

from jaxnet.outputs import checkpoints
from jaxnet.outputs.checkpoints import name_of


def make_run(directory: Path) -> None:
    """Two checkpoints to go on from, and one for use."""
    for step in (10, 20):
        arrays = {
            "params.W": np.linspace(-1, 1, 48, dtype=np.float32).reshape(8, 6) * step,
            "opt.count": np.array(step, np.int32),
            "mask": np.arange(9) % 2 == 0,
        }
        facts = {"step": step, "seconds": step / 4, "epochs": [{"epoch": 1, "loss": 0.25}]}
        checkpoints.save(directory, "last", arrays, facts)
    checkpoints.save(directory, "best", arrays, facts)


def damaged(content: bytes, seed: int) -> bytes:
    """The content with bits flipped, bytes replaced, a stretch lost, an end cut off or added."""
    chance = random.Random(seed)
    kind = chance.choice(("bit", "bit", "bits", "byte", "zeros", "swap", "cut", "hole", "more"))
    data = bytearray(content)
    at = chance.randrange(len(data))
    if kind in ("bit", "bits"):
        for _ in range(1 if kind == "bit" else chance.randrange(2, 9)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == "byte":
        data[at] = (data[at] + chance.randrange(1, 256)) % 256
    elif kind == "zeros":
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    elif kind == "swap":
        other = chance.randrange(len(data))
        data[at], data[other] = data[other], data[at]
    elif kind == "cut":
        del data[at:]
    elif kind == "hole":
        del data[at : at + chance.randrange(1, 9)]
    else:
        data += chance.randbytes(chance.randrange(1, 9))
    if data == content:  # a swap of equal bytes, say
        return damaged(content, seed + 1_000_000_007)
    return bytes(data)


def judge(directory: Path, content: bytes) -> str | None:
    """Put bytes in the place of the newest checkpoint: what is wrong with what is found then?"""
    newest = name_of("last", 20)
    (directory / newest).write_bytes(content)
    found = checkpoints.survey(directory)
    if found.damaged != (newest,):
        return f"named as damaged: {found.reasons}"
    if found.name != name_of("last", 10) or found.newest.facts["step"] != 10:
        return f"found {found.name}"
    return None
