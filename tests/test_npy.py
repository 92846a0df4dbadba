"""`.npy` files: what NumPy writes is read, anything else is a `ValueError`."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from mnetdsl.npy import elements, read_header, to_npy

TYPES = st.one_of(arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), arrays.floating_dtypes())


def read(data: bytes) -> NDArray[np.generic]:
    stream = io.BytesIO(data)
    return elements(read_header(stream), stream.read())


@given(arrays.arrays(TYPES, arrays.array_shapes(min_dims=0, max_dims=4)), st.booleans())
def test_what_numpy_writes_is_read(array: NDArray[np.generic], fortran: bool) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.asfortranarray(array) if fortran and array.ndim else array)
    found = read(buffer.getvalue())
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.flags.c_contiguous


@given(arrays.arrays(TYPES, arrays.array_shapes(min_dims=0, max_dims=4)))
def test_numpy_reads_what_is_written(array: NDArray[np.generic]) -> None:
    np.testing.assert_array_equal(np.load(io.BytesIO(to_npy(array))), array)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'extra': 1, }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2**9**9,), }",
        "{'descr': '<q9', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        "__import__('os').abort()",
        "(" * 5000,
    ],
)
def test_other_headers_are_refused(header: str) -> None:
    text = header.encode() + b"\n"
    with pytest.raises(ValueError, match=r"\w"):
        read(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(8))
