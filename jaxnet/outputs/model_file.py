"""The finished model on disk: arrays as safetensors, their description and checksum as JSON.

No pickle, no times, no paths: equal arrays give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxnet.errors import RunDirectoryError
from jaxnet.files import open_file, write_atomic
from jaxnet.outputs import tensors
from jaxnet.outputs.records import digest, read_json
from jaxnet.outputs.run_directory import writing
from jaxnet.outputs.tensors import Damaged
from jaxnet.printable import shell_word

if TYPE_CHECKING:
    import numpy as np

ARRAYS = "model.safetensors"
DESCRIPTION = "model.json"
_FORMAT = 2


class SavedModel(NamedTuple):
    """What was saved.

    Attributes:
        arrays: of the model, by name.
        description: what was said about them.
        schema: `records.digest` of the schema that the model was trained with; None: not recorded.
    """

    arrays: dict[str, np.ndarray]
    description: dict[str, Any]
    schema: str | None


def save(
    directory: Path,
    arrays: Mapping[str, np.ndarray],
    description: Mapping[str, Any],
    *,
    schema: Mapping[str, Any] | None = None,
) -> None:
    """Write model.safetensors, then model.json, which completes the model.

    Args:
        directory: where to; made where it does not exist.
        arrays: name -> array on the host, of one of numpy's own number types, bfloat16 or bool;
            written from its own memory.
        description: what a reader needs to use the arrays; JSON, every number finite.
        schema: of the rows that the model takes, which is kept in a file of its own.

    Raises:
        TypeError: an array of another type, which could be written but not read.
        ValueError: a number in the description is not finite.
        RunFailed: the files cannot be written.
    """
    header, views = tensors.lay_out(arrays)
    sha256 = hashlib.sha256(header)
    for view in views:
        for piece in tensors.pieces(view):
            sha256.update(piece)
    head = {
        "format": _FORMAT,
        "sha256": sha256.hexdigest(),
        "arrays": {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()},
        "description": dict(description),
        "schema": None if schema is None else digest(schema),
    }
    head["digest"] = digest(head)
    text = json.dumps(head, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with writing(directory):
        if not directory.is_dir():
            os.mkdir(directory)
        write_atomic(directory / ARRAYS, [header, *views])
        write_atomic(directory / DESCRIPTION, text + "\n")


def load(directory: Path) -> SavedModel:
    """Read what `save` wrote, and check that it is what was written.

    Args:
        directory: the directory given to `save`.

    Raises:
        RunDirectoryError: a file is missing, damaged, or of a format this version does not know.
    """
    head = read_json(directory / DESCRIPTION)
    if not isinstance(head, dict) or not {"format", "description"} <= head.keys():
        raise _damaged(directory / DESCRIPTION, "keys are missing")
    if head["format"] != _FORMAT:
        raise RunDirectoryError(
            f"{directory / DESCRIPTION}: format {head['format']!r}, this version of jaxnet reads "
            f"format {_FORMAT}; load it with the version that wrote it"
        )
    if head.pop("digest", None) != digest(head):
        raise _damaged(directory / DESCRIPTION, "it is not what was written")
    path = directory / ARRAYS
    try:
        with open_file(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            header = tensors.read_header(stream, size)
            sha256 = hashlib.sha256(header)
            arrays = tensors.empty(header, size - len(header))
            tensors.fill(stream, arrays, sha256.update)
    except OSError as error:
        raise RunDirectoryError(f"{path}: cannot be read ({error.strerror})") from None
    except Damaged as error:
        raise _damaged(path, str(error)) from None
    # safetensors has no checksum of its own: most flipped bits would load without a word.
    if sha256.hexdigest() != head["sha256"]:
        raise _damaged(path, f"its SHA-256 is not the one in {DESCRIPTION}")
    return SavedModel(arrays, head["description"], head["schema"])


def _damaged(path: Path, why: str) -> RunDirectoryError:
    again = f"jaxnet train --run-dir {shell_word(str(path.parent.parent))} --resume"
    return RunDirectoryError(
        f"{path}: damaged ({why}); restore the file from a copy, or make it again: {again}"
    )
