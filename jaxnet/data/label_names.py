"""Names of labels from a text file, one a line, as sets of labels come with them."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from jaxnet.data.places import refuse_absent
from jaxnet.errors import DataError
from jaxnet.files import MOST_RECORD, NotReadable, open_file, read_stream

_LONGEST = 1000  # characters of a name


def read(path: str | Path, labels: int) -> list[str]:
    """The name of each label, in order. Empty ones and ones that repeat get their number.

    Args:
        path: a .txt or .txt.gz file of UTF-8 text.
        labels: how many there are.

    Raises:
        DataError: no such file, a damaged one, or one with another number of lines.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "labels.txt")
    >>> _ = file.write_text("red\\n\\nred\\nnew\\n")
    >>> read(file, 4)
    ['red', '1', 'red (2)', 'new']
    """
    path = Path(path)
    refuse_absent(path)
    packed = path.name.lower().endswith(".gz")
    try:
        with open_file(path) as stored:
            # A small file can unpack to a very large one.
            stream = gzip.GzipFile(fileobj=stored) if packed else stored
            data = read_stream(stream, path, most=MOST_RECORD)
        lines = data.decode("utf-8-sig").split("\n")
    except NotReadable as error:
        raise DataError(str(error)) from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if lines and not lines[-1]:
        lines.pop()  # behind the last newline
    if len(lines) != labels:
        raise DataError(f"{path}: {len(lines)} names for {labels} labels; one line each is needed")
    return _distinct([line.strip()[:_LONGEST] for line in lines])


def _distinct(names: list[str]) -> list[str]:
    taken: set[str] = set()
    found = []
    for number, name in enumerate(names):
        name = name or str(number)
        while name in taken:
            name = f"{name} ({number})"
        taken.add(name)
        found.append(name)
    return found
