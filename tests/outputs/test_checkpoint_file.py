"""A checkpoint's bytes: what was given comes back, and no other bytes are taken for it."""

import contextlib
import hashlib
import io
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save

from jaxnet.files import write_atomic
from jaxnet.outputs import checkpoint_file
from jaxnet.outputs.checkpoint_file import Damaged, OtherFormat, decode, encode, read_facts, verify

pytestmark = pytest.mark.both

FIXTURES = Path(__file__).parents[1] / "fixtures"

ARRAYS = {
    "W": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "count": np.array(3, np.int32),
    "strided": np.arange(10, dtype=np.int16)[::3],
    "signs": np.array([-0.0, np.nan, np.inf], np.float64),
    "empty": np.zeros((0, 4), np.float32),
    "né": np.array([True, False]),
    "half": np.array([1.5, -0.0, np.nan, 3e38], ml_dtypes.bfloat16),
}
FACTS = {
    "step": 7,
    "seconds": 1.5,
    "kind": "last",
    "data": {"sha256": "ab" * 32, "name": "né \ud800"},
    "epochs": [{"loss": 1e-30, "f1": None}],
}


@contextlib.contextmanager
def memory_of() -> Iterator[Callable[[], int]]:
    """Gives the most bytes that were held at once beyond those from before, as Python counts."""
    tracemalloc.start()
    found: list[int] = []
    try:
        yield lambda: found[0]
    finally:
        found.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()


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


def test_every_bfloat16_comes_back_bit_for_bit() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(ml_dtypes.bfloat16).reshape(256, 256)
    back = decode(encode({"W": every, "one": every[3, 7]}, {})).arrays
    assert (back["W"].dtype, back["W"].shape) == (ml_dtypes.bfloat16, (256, 256))
    assert back["W"].tobytes() == every.tobytes()
    assert (back["one"].dtype, back["one"].shape) == (ml_dtypes.bfloat16, ())


def test_nothing_at_all_comes_back() -> None:
    assert decode(encode({}, {})) == ({}, {})


def test_equal_input_gives_equal_bytes() -> None:
    assert encode(ARRAYS, FACTS) == encode(
        dict(reversed(ARRAYS.items())), dict(reversed(FACTS.items()))
    )


def test_the_bytes_are_those_that_the_library_joins() -> None:
    """So were files written before they were written part by part."""
    in_order = {name: np.require(array, requirements="C") for name, array in ARRAYS.items()}
    text = json.dumps({**FACTS, "format": 1, "sha256": "0" * 64}, sort_keys=True)
    zeroed = save(in_order, metadata={"jaxnet": text})
    digest = hashlib.sha256(zeroed).hexdigest().encode()
    assert encode(ARRAYS, FACTS) == zeroed.replace(b"0" * 64, digest)


def test_files_of_earlier_versions_would_be_written_the_same() -> None:
    found = sorted(FIXTURES.glob("*-0.1/**/*-*.safetensors"))
    assert len(found) >= 4
    for path in found:
        assert encode(*decode(path.read_bytes())) == path.read_bytes(), path


def test_anybody_can_read_it(tmp_path: Path) -> None:
    known = {name: array for name, array in ARRAYS.items() if name != "half"}  # not by numpy
    (tmp_path / "a.safetensors").write_bytes(encode(known, FACTS))
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
        *(np.array(["a"]), np.array([None]), np.zeros(2, ml_dtypes.float8_e4m3)),
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
                    decode(bytes(bad))


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


def test_a_file_is_checked_as_its_bytes_are(tmp_path: Path) -> None:
    """With and without its arrays; in several pieces."""
    path = tmp_path / "file"
    arrays = {"W": np.arange(3_000_000, dtype=np.float32), "b": np.ones(5, np.int8)}
    good = encode(arrays, FACTS)
    path.write_bytes(good)
    polled: list[None] = []
    assert verify(path, poll=lambda: polled.append(None)) == FACTS
    assert len(polled) > 2
    back = checkpoint_file.read(path, poll=lambda: polled.append(None))
    assert len(polled) > 5
    assert back.facts == FACTS
    for name, array in arrays.items():
        assert (back.arrays[name] == array).all()
    for place in (len(good) - 1, len(good) // 2, len(good) - 4_000_000):
        bad = bytearray(good)
        bad[place] ^= 1
        path.write_bytes(bad)
        for look in (verify, checkpoint_file.read):
            with pytest.raises(Damaged, match="SHA-256 is not the one"):
                look(path)
    for content in (good[:-1], good + b"\0"):
        path.write_bytes(content)
        for look in (verify, checkpoint_file.read):
            with pytest.raises(Damaged, match="SHA-256 is not the one"):
                look(path)


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused() -> None:
    with pytest.raises(Damaged, match="cut short"):
        checkpoint_file._read(io.BytesIO(SMALL[:-1]), len(SMALL), lambda: None)


def entry(start: int, end: int, shape: Any, dtype: str = "I16") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "entries",
    [
        {"a": entry(0, 6, [2]), "b": entry(4, 8, [2])},
        {"a": entry(0, 4, [2]), "b": entry(0, 4, [2]), "c": entry(4, 8, [2])},
        {"a": entry(0, 4, [2])},
        {"a": entry(4, 8, [2])},
        {"a": entry(0, 800, [400])},
        {"a": entry(0, 8, [-2, -2])},
        {"a": entry(0, 8, [1], "C64")},
        {"a": entry(0, 8, 4)},
        {"a": entry(0, 8, [4]), "b": entry(8, 8, [0, 10**30])},
        {"a": None},
    ],
    ids=lambda entries: ",".join(str(one and one["data_offsets"]) for one in entries.values()),
)
def test_a_whole_file_whose_arrays_are_not_one_after_another_is_refused(
    entries: dict[str, Any],
) -> None:
    text = json.dumps({"format": 1, "sha256": "0" * 64})
    zeroed = header(json.dumps({"__metadata__": {"jaxnet": text}, **entries})) + bytes(8)
    whole = zeroed.replace(b"0" * 64, hashlib.sha256(zeroed).hexdigest().encode())
    with pytest.raises(Damaged, match="its arrays cannot be read"):
        decode(whole)
    with pytest.raises(Damaged, match="SHA-256 is not the one"):
        decode(whole[:-1])


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


def test_a_length_that_lies_reserves_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open(path, "wb") as stream:
        stream.write((2**30).to_bytes(8, "little") + SMALL[8:])
        stream.truncate(2**31)  # takes no room on the disk
    for look in (verify, checkpoint_file.read, read_facts):
        with memory_of() as most, pytest.raises(Damaged, match="longer than any"):
            look(path)
        assert most() < 2**20


def test_neither_writing_nor_reading_makes_copies(tmp_path: Path) -> None:
    arrays = {name: np.ones(2**22, np.float32) for name in ("W", "m")}  # 32 MiB
    path = tmp_path / "file"
    with memory_of() as most:
        write_atomic(path, checkpoint_file.parts(arrays, FACTS), verify=verify)
    assert most() < 6 * 2**20
    with memory_of() as most:
        back = checkpoint_file.read(path)
    assert most() < 34 * 2**20
    assert not np.shares_memory(back.arrays["W"], back.arrays["m"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    reasons = {"folder": "not a file", "pipe": "not a file", "loop": "cannot be read", "no": "No"}
    for name, reason in reasons.items():
        for look in (checkpoint_file.read, verify, read_facts):
            with pytest.raises(Damaged, match=reason):
                look(tmp_path / name)
