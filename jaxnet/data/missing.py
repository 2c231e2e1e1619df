"""Which cells are missing: empty and blank ones always, and those that hold one of the tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxnet.data.table import Array

TOKENS: tuple[str, ...] = ("?", "NA", "N/A", "NaN", "nan", "null")


def tokens(given: Iterable[str] | None) -> tuple[str, ...]:
    """The tokens given, without blanks around them; the usual ones for None.

    >>> tokens(None)
    ('?', 'NA', 'N/A', 'NaN', 'nan', 'null')
    >>> tokens([" unknown", ""])
    ('unknown',)
    """
    stripped = TOKENS if given is None else [str(token).strip() for token in given]
    return tuple(dict.fromkeys(token for token in stripped if token))


def mask(texts: Any, missing: Iterable[str]) -> Array:
    """Whether each text of a pyarrow array is missing: bool (n,).

    A null, an empty or blank text, or one of the tokens, upper and lower case told apart; blanks
    around a token do not count.

    >>> import pyarrow as pa
    >>> mask(pa.array(["a", "", " ? ", None, "na"]), TOKENS)
    array([False,  True,  True,  True, False])
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(texts)
    known = pa.array(["", *missing, None], trimmed.type)
    found = pc.is_in(trimmed, value_set=known).to_numpy(zero_copy_only=False)
    return np.asarray(found, dtype=bool)
