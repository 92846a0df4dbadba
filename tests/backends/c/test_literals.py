"""Numbers as C text name exactly the float they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnetdsl.backends.c.literals import array_body, float_literal

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(floats)
def test_a_literal_reads_back_as_the_same_float(value: float) -> None:
    text = float_literal(value)
    assert np.float32(text.removesuffix("f")) == np.float32(value)
    assert text.endswith("f")
    assert "." in text or "e" in text


def test_infinity_is_named_as_in_math_h() -> None:
    assert [float_literal(value) for value in (np.inf, -np.inf)] == ["HUGE_VALF", "-HUGE_VALF"]


@given(st.lists(floats, max_size=40))
def test_an_array_reads_back_bit_for_bit(values: list[float]) -> None:
    array = np.array(values, np.float32)
    texts = array_body(array).replace(",", " ").split()
    read = np.array([text.removesuffix("f") for text in texts]).astype(np.float32) if texts else array
    np.testing.assert_array_equal(read.view(np.uint32), array.view(np.uint32))
    assert all("." in text or "e" in text for text in texts)


def test_many_chunks_keep_their_order() -> None:
    array = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    array[::97] = 2.0
    read = np.array([text.removesuffix("f") for text in array_body(array).replace(",", " ").split()]).astype(np.float32)
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32])
def test_integers_are_printed_as_they_are(dtype: type[np.generic]) -> None:
    assert array_body(np.arange(10).astype(dtype)) == "    0, 1, 2, 3, 4, 5, 6, 7,\n    8, 9,"
