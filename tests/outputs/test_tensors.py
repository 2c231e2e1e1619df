"""The bytes of a safetensors file are those that its own library writes."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save

from jaxnet.outputs import tensors

pytestmark = pytest.mark.both

DTYPES = [*"?bBhHiIlLqQefd", ml_dtypes.bfloat16]


def whole(arrays: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> bytes:
    header, views = tensors.lay_out(arrays, metadata)
    return b"".join([header, *views])


def test_arrays_of_every_type_stand_where_the_library_puts_them() -> None:
    arrays = {
        f"{name}{number}": np.arange(number).astype(dtype)
        for name in ("b", "a", "Z", "layers.10.W", "layers.9.W")
        for number, dtype in enumerate(DTYPES)
    }
    assert whole(arrays) == save(arrays)
    assert whole(dict(reversed(arrays.items()))) == save(arrays)


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(DTYPES, 2)])
def test_any_two_types_are_in_the_order_of_the_library(one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        arrays = {"a": np.ones(3, first), "b": np.ones((), second)}
        assert whole(arrays) == save(arrays)


@pytest.mark.parametrize("length", range(9))
def test_headers_of_every_length_are_filled_up_as_by_the_library(length: int) -> None:
    arrays = {"n" * length: np.zeros((0, 4), np.float32)}
    assert whole(arrays) == save(arrays)


def test_names_and_texts_are_written_as_by_the_library() -> None:
    names = ["", "né", "\U0001f600", "\uffff", '"\\/', "\x00\x1f\x7f\n\t\b\f\r", " ", "{}"]
    arrays = {name: np.ones(2, np.int8) for name in names}
    assert whole(arrays) == save(arrays)
    for text in names:
        assert whole({}, {"key": text}) == save({}, metadata={"key": text})
    assert whole({}) == save({})


def test_an_array_whose_numbers_lie_in_order_is_not_copied() -> None:
    for array in (np.ones((4, 3), np.float32), np.ones(5, ml_dtypes.bfloat16), np.array(2.0)):
        array.flags.writeable = False  # as JAX gives them
        _, (view,) = tensors.lay_out({"W": array})
        assert np.shares_memory(np.frombuffer(view, np.uint8), array)
    turned = np.arange(12).reshape(3, 4).T
    assert bytes(tensors.lay_out({"W": turned})[1][0]) == turned.tobytes()


def test_a_header_that_nobody_could_read_is_not_written() -> None:
    with pytest.raises(ValueError, match="and 100000000 is the most"):
        tensors.lay_out({}, {"text": "x" * 100_000_000})
