"""Numbers that training holds as float32: one that would become another there is refused.

Compiled programs also take the numbers below float32's smallest normal one for 0.
"""

from __future__ import annotations

import struct

from pydantic_core import PydanticCustomError

LARGEST = 3.4028234663852886e38  # (2 - 2**-23) 2**127
SMALLEST = 1.1754943508222875e-38  # 2**-126


def held(value: float, name: str = "") -> float:
    """The value, as float32 can hold it: 0, or of a size between `SMALLEST` and `LARGEST`.

    Args:
        value: finite.
        name: to put before it in the error.

    Raises:
        PydanticCustomError: it would become 0 or infinite.

    >>> held(1e-8), held(0)
    (1e-08, 0.0)
    >>> held(1e-60)
    Traceback (most recent call last):
    pydantic_core._pydantic_core.PydanticCustomError: 1e-60 rounds to 0 in float32; the smallest \
number above 0 is 1.1754944e-38
    """
    if abs(value) > LARGEST:
        raise _error(f"{name}{value!r} is infinite in float32; the largest number is 3.4e38")
    if 0 < abs(value) < SMALLEST:
        smallest = "the smallest number above 0 is 1.1754944e-38"
        raise _error(f"{name}{value!r} rounds to 0 in float32; {smallest}")
    return float(value)


def held_below_one(value: float) -> float:
    """The value, which is below 1, if it is so in float32 too.

    Raises:
        PydanticCustomError: it would become 0 or 1.

    >>> held_below_one(0.99)
    0.99
    """
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    if rounded == 1:
        raise _error(f"{value!r} rounds to 1 in float32; the largest number below 1 is 0.99999994")
    return held(value)


def _error(text: str) -> PydanticCustomError:
    return PydanticCustomError("float32", "{text}", {"text": text})
