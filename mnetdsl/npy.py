"""NumPy's `.npy` format, read strictly: NumPy's own reader parses the header as Python, which hostile files can abuse.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from math import prod
from typing import IO

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
"""Major version -> width of the header's length."""
_MAX_HEADER = 10_000
_HEADER = re.compile(
    r"\{\s*'descr': *'([<>|=][A-Za-z]\d*)', *'fortran_order': *(True|False), *"
    r"'shape': *\(((?:\d{1,18}L?, *)*(?:\d{1,18}L?)?)\) *,? *\}\s*"
)


@dataclass(frozen=True)
class NpyHeader:
    """What stands before the elements. `descr` is NumPy's text for the element type, such as `<f4`."""

    descr: str
    fortran: bool
    shape: tuple[int, ...]
    size: int
    """Bytes of the header: the elements begin there."""

    @property
    def holds_objects(self) -> bool:
        return self.descr.endswith("O")

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Raises `ValueError` where the text names no type."""
        try:
            return np.dtype(self.descr)
        except TypeError:
            raise ValueError(f"unknown element type {self.descr}") from None

    @property
    def byte_size(self) -> int:
        """Bytes of all elements."""
        return prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes]) -> NpyHeader:
    """The header at the start of `stream`; raises `ValueError` where there is none."""
    start = stream.read(len(_MAGIC) + 2)
    if len(start) != len(_MAGIC) + 2 or start[: len(_MAGIC)] != _MAGIC or start[-2] not in _LENGTH_BYTES:
        raise ValueError("no .npy array")
    width = _LENGTH_BYTES[start[-2]]
    length = int.from_bytes(stream.read(width), "little")
    if length > _MAX_HEADER:
        raise ValueError("header too long")
    text = stream.read(length)
    match = _HEADER.fullmatch(text.decode("latin-1"))
    if len(text) != length or match is None:
        raise ValueError("malformed header")
    shape = tuple(int(size.strip().rstrip("L")) for size in match[3].split(",") if size.strip())
    return NpyHeader(match[1], match[2] == "True", shape, len(start) + width + length)


def elements(header: NpyHeader, data: bytes) -> NDArray[np.generic]:
    """The array of a header and exactly the bytes behind it, in C order and the machine's byte order.

    Raises `ValueError` where their number differs.
    """
    if len(data) != header.byte_size:
        raise ValueError(f"{len(data)} bytes of elements instead of {header.byte_size}")
    array = np.frombuffer(data, header.dtype).reshape(header.shape, order="F" if header.fortran else "C")
    return array.astype(array.dtype.newbyteorder("="), order="C")


def to_npy(array: NDArray[np.generic]) -> bytes:
    """A whole `.npy` file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()
