"""A model file comes back bit for bit, equal models are equal bytes, and damage is noticed."""

import hashlib
import json
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save

from jaxnet.errors import RunDirectoryError
from jaxnet.outputs import model_file
from jaxnet.outputs.records import digest

ARRAYS = {
    "layers.0.W": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "layers.0.b": np.array([0.5, -0.0], np.float32),
    "temperature": np.array(1.5, np.float32),
    "strided": np.arange(10, dtype=np.int32)[::3],
    "half": np.array([1.0, 2.5], np.float16),
    "brain": np.array([1.0, -0.0, np.nan], ml_dtypes.bfloat16),
    "empty": np.zeros((0, 4), np.float64),
}
DESCRIPTION = {"task": "binary", "sizes": [3, 2], "classes": ["né", "oui"], "center": [0.1, 1e-30]}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    model_file.save(tmp_path / "model", ARRAYS, DESCRIPTION)
    arrays, description, _ = model_file.load(tmp_path / "model")
    assert description == DESCRIPTION
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype, name
        assert arrays[name].shape == array.shape, name  # a scalar stays a scalar
        assert arrays[name].tobytes() == array.tobytes(), name


def test_equal_models_are_equal_bytes(tmp_path: Path) -> None:
    model_file.save(tmp_path / "one", ARRAYS, DESCRIPTION)
    backwards = dict(reversed(ARRAYS.items()))
    model_file.save(tmp_path / "two", backwards, dict(reversed(DESCRIPTION.items())))
    for name in (model_file.ARRAYS, model_file.DESCRIPTION):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert str(tmp_path).encode() not in (tmp_path / "one" / name).read_bytes()


def test_the_bytes_are_those_that_the_library_joins(tmp_path: Path) -> None:
    model_file.save(tmp_path, ARRAYS, DESCRIPTION)
    content = (tmp_path / model_file.ARRAYS).read_bytes()
    assert content == save({name: np.require(a, requirements="C") for name, a in ARRAYS.items()})
    head = json.loads((tmp_path / model_file.DESCRIPTION).read_text())
    assert head["sha256"] == hashlib.sha256(content).hexdigest()
    assert head["arrays"]["brain"] == ["bfloat16", [3]]


def test_neither_saving_nor_loading_makes_copies(tmp_path: Path) -> None:
    arrays = {name: np.ones(2**22, np.float32) for name in ("W", "b")}  # 32 MiB
    tracemalloc.start()
    model_file.save(tmp_path, arrays, DESCRIPTION)
    most_saving = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    model_file.load(tmp_path)
    most_loading = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most_saving < 2 * 2**20
    assert most_loading < 34 * 2**20


def test_a_whole_file_that_is_not_one_of_arrays_is_refused(tmp_path: Path) -> None:
    """The checksum in model.json is that of the file, which is of another making."""
    model_file.save(tmp_path, {"W": np.ones(2)}, DESCRIPTION)
    content = (tmp_path / model_file.ARRAYS).read_bytes().replace(b"[0,16]", b"[0,17]")
    (tmp_path / model_file.ARRAYS).write_bytes(content)
    path = tmp_path / model_file.DESCRIPTION
    head = json.loads(path.read_text()) | {"sha256": hashlib.sha256(content).hexdigest()}
    del head["digest"]
    path.write_text(json.dumps(head | {"digest": digest(head)}))
    with pytest.raises(RunDirectoryError, match=r"damaged .its arrays cannot be read"):
        model_file.load(tmp_path)


def test_no_flipped_bit_and_no_truncation_is_accepted(tmp_path: Path) -> None:
    model_file.save(tmp_path, ARRAYS, DESCRIPTION)
    path = tmp_path / model_file.ARRAYS
    good = path.read_bytes()
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 1 << position % 8
        path.write_bytes(bad)
        with pytest.raises(RunDirectoryError, match=r"damaged .*restore the file from a copy"):
            model_file.load(tmp_path)
    path.write_bytes(good[:-1])
    with pytest.raises(RunDirectoryError, match="damaged"):
        model_file.load(tmp_path)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match=r"model\.json: missing; did the run finish"):
        model_file.load(tmp_path)
    model_file.save(tmp_path, ARRAYS, DESCRIPTION)
    (tmp_path / model_file.ARRAYS).unlink()
    with pytest.raises(RunDirectoryError, match=r"model\.safetensors: cannot be read"):
        model_file.load(tmp_path)


def test_a_format_of_the_future_is_refused(tmp_path: Path) -> None:
    model_file.save(tmp_path, ARRAYS, DESCRIPTION)
    path = tmp_path / model_file.DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 3}))
    with pytest.raises(RunDirectoryError, match="format 3, this version of jaxnet reads format 2"):
        model_file.load(tmp_path)
    path.write_text("[]")
    with pytest.raises(RunDirectoryError, match="keys are missing"):
        model_file.load(tmp_path)


def test_a_description_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        model_file.save(tmp_path, ARRAYS, {"center": float("nan")})
    assert not (tmp_path / model_file.DESCRIPTION).exists()


@pytest.mark.parametrize(
    "array",
    [np.array(["a"]), np.array([None]), np.zeros(2, ml_dtypes.float8_e4m3), np.zeros(1, "f4,i4")],
    ids=lambda array: array.dtype.name,
)
def test_arrays_that_would_not_come_back_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"'W' has the type .* float32"):
        model_file.save(tmp_path, {"W": array}, {})
    assert not list(tmp_path.iterdir())
