"""A checkpoint's bytes: what was given comes back, and no other bytes are taken for it."""

import hashlib
import json
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save

from jaxnet.outputs import checkpoint_file
from jaxnet.outputs.checkpoint_file import Damaged, OtherFormat, decode, encode, read_facts, verify

ARRAYS = {
    "W": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "count": np.array(3, np.int32),
    "strided": np.arange(10, dtype=np.int16)[::3],
    "signs": np.array([-0.0, np.nan, np.inf], np.float64),
    "empty": np.zeros((0, 4), np.float32),
    "né": np.array([True, False]),
}
FACTS = {
    "step": 7,
    "seconds": 1.5,
    "kind": "last",
    "data": {"sha256": "ab" * 32, "name": "né \ud800"},
    "epochs": [{"loss": 1e-30, "f1": None}],
}
SMALL = encode({"b": np.array([0.5, 2.0], np.float32)}, {"step": 7, "seconds": 1.5})
HEADER = 8 + int.from_bytes(SMALL[:8], "little")


def test_what_was_given_comes_back() -> None:
    arrays, facts = decode(encode(ARRAYS, FACTS))
    assert facts == FACTS
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype, name
        assert arrays[name].shape == array.shape, name  # a scalar stays a scalar
        assert arrays[name].tobytes() == array.tobytes(), name
        arrays[name][...] = 0  # they can be written


@pytest.mark.parametrize("dtype", list("?bBhHiIlLqQefd"))
def test_every_number_type_comes_back(dtype: str) -> None:
    for shape in [(), (1,), (0,), (2, 3)]:
        array = np.ones(shape, dtype)
        back = decode(encode({"a": array}, {})).arrays["a"]
        assert (back.dtype, back.shape) == (array.dtype, shape)
        assert (back == array).all()


def test_nothing_at_all_comes_back() -> None:
    assert decode(encode({}, {})) == ({}, {})


def test_equal_input_gives_equal_bytes() -> None:
    assert encode(ARRAYS, FACTS) == encode(
        dict(reversed(ARRAYS.items())), dict(reversed(FACTS.items()))
    )


def test_anybody_can_read_it(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(encode(ARRAYS, FACTS))
    arrays = load_file(tmp_path / "a.safetensors")
    assert arrays["count"].shape == ()
    with safe_open(tmp_path / "a.safetensors", "np") as file:
        (text,) = file.metadata().values()
    head = json.loads(text)
    assert head["format"] == 1
    assert head["data"] == FACTS["data"]
    zeroed = (tmp_path / "a.safetensors").read_bytes().replace(head["sha256"].encode(), b"0" * 64)
    assert head["sha256"] == hashlib.sha256(zeroed).hexdigest()


@pytest.mark.parametrize(
    "array",
    [
        *(np.array(["a"]), np.array([None]), np.zeros(2, ml_dtypes.bfloat16)),
        *(np.zeros(1, "f4,i4"), np.zeros(2, ">f4"), np.zeros(2, "F"), np.zeros(2, np.longdouble)),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_that_would_not_come_back_are_refused(array: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"'W' has the type .* float32"):
        encode({"W": array}, {})


def test_facts_that_would_not_come_back_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({}, {"loss": float("nan")})
    with pytest.raises(TypeError, match="not JSON serializable"):
        encode({}, {"step": np.int64(3)})
    with pytest.raises(ValueError, match="cannot be called format and sha256"):
        encode({}, {"sha256": "", "format": 1})
    with pytest.raises(ValueError, match="64 zeros in a row are taken"):
        encode({}, {"note": "0" * 64})


def test_every_other_byte_in_every_place_of_the_header_is_refused() -> None:
    for place in range(HEADER):
        bad = bytearray(SMALL)
        for value in range(256):
            if value != SMALL[place]:
                bad[place] = value
                with pytest.raises(Damaged):
                    verify(bytes(bad))


def test_every_flipped_bit_of_the_file_is_refused() -> None:
    for bit in range(8 * len(SMALL)):
        bad = bytearray(SMALL)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Damaged):
            decode(bytes(bad))


def test_every_other_length_is_refused() -> None:
    for length in range(len(SMALL)):
        with pytest.raises(Damaged):
            decode(SMALL[:length])
    for more in (b"\0", b"\n", SMALL, bytes(4096)):
        with pytest.raises(Damaged, match="SHA-256 is not the one"):
            decode(SMALL + more)


def header(text: str) -> bytes:
    return len(text.encode()).to_bytes(8, "little") + text.encode()


@pytest.mark.parametrize(
    "content",
    [
        save({"W": np.ones(2)}),
        save({"W": np.ones(2)}, metadata={"jaxnet": "[]"}),
        save({}, metadata={"jaxnet": '{"format": 1, "sha256": %s}' % ("1" * 64)}),
        save({}, metadata={"jaxnet": '{"format": 1, "sha256": "%s"}' % ("A" * 64)}),
        save({}, metadata={"jaxnet": "[" * 100_000}),
        header("[" * 100_000),
        header('{"__metadata__": null}'),
        header("7"),
        b"\xff" * 8 + b"{}",
    ],
    ids=["not ours", "list", "number", "letters", "deep", "deeper", "null", "seven", "length"],
)
def test_headers_that_are_not_ours_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    for look in (lambda: decode(content), lambda: read_facts(tmp_path / "file")):
        with pytest.raises(Damaged, match=r"not one of a checkpoint|cut short"):
            look()


def test_a_digest_that_is_there_twice_is_refused() -> None:
    text = json.dumps({"format": 1, "sha256": "1" * 64, "note": "1" * 64})
    with pytest.raises(Damaged, match="does not hold its SHA-256 once"):
        decode(save({}, metadata={"jaxnet": text}))


def test_a_format_of_the_future_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_file, "_FORMAT", 2)
    later = encode({}, {})
    monkeypatch.undo()
    with pytest.raises(
        OtherFormat, match="format 2, this version of jaxnet reads format 1; use the"
    ):
        decode(later)


def test_the_facts_are_read_from_the_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = encode(ARRAYS, FACTS)
    path.write_bytes(content[:-1])
    assert read_facts(path) == FACTS
    path.write_bytes(content[:100])
    with pytest.raises(Damaged, match="cut short"):
        read_facts(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    reasons = {"folder": "not a file", "pipe": "not a file", "loop": "cannot be read", "no": "No"}
    for name, reason in reasons.items():
        for look in (checkpoint_file.read, read_facts):
            with pytest.raises(Damaged, match=reason):
                look(tmp_path / name)
