"""NumPy's `.npz`: a zip of `.npy` arrays. Pickled objects are refused, and only arrays that are wanted are expanded,
to the size that their header states: an archive that expands without end is never followed."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from functools import partial
from math import prod
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.weights.entry import Entry, corrupt

_SUFFIX = ".npy"
_MAX_HEADER = 10_000
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Zip entries carry a date; this one keeps equal arrays equal bytes."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
"""What zipfile and numpy raise on damaged, encrypted or exotic archives held in memory."""
_WIDENED = {"float16": "float32", "float32": "float32", "float64": "float64"}
_INTEGERS = ("int8", "uint8", "int16", "int32", "int64")


def read_entries(data: bytes, path: str) -> dict[str, Entry]:
    """All arrays of an archive. Raises `MnetError`: MN0708 damaged, MN0710 pickled objects."""
    if not data:
        raise corrupt(path, "it is empty")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _DAMAGE:
        raise corrupt(path, "it is no complete zip archive") from None
    entries: dict[str, Entry] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(_SUFFIX)
        if name in entries:
            raise corrupt(path, f"`{name}` stands twice in it")
        if info.filename == name:
            raise corrupt(path, f"`{name}` in it is no .npy array", "an .npz is what numpy.savez writes")
        entries[name] = _entry(archive, info, name, path)
    return entries


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, path: str) -> Entry:
    try:
        with archive.open(info) as stream:
            shape, fortran, dtype = _read_header(stream)
            start = stream.tell()
    except _DAMAGE:
        raise corrupt(path, f"array `{name}` cannot be read") from None
    if dtype.hasobject:
        raise MnetError(
            error(
                "MN0710",
                f"`{name}` holds pickled Python objects, which could run code: not read",
                location=path,
                help='save plain float arrays: `numpy.savez(path, **{"stem.conv.weight": array, …})`',
            )
        )
    if info.file_size - start != prod(shape) * dtype.itemsize:
        raise corrupt(path, f"array `{name}` has {info.file_size - start} bytes instead of its shape's")
    known = dtype.name in _WIDENED or dtype.name in _INTEGERS
    read = partial(_values, archive, info, shape, fortran, dtype, name, path) if known else None
    return Entry(shape, dtype.name, read)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream, max_header_size=_MAX_HEADER)
    if any(type(size) is not int or size < 0 for size in shape):
        raise ValueError("sizes must not be negative")
    return shape, fortran, dtype


def _values(
    archive: zipfile.ZipFile,
    info: zipfile.ZipInfo,
    shape: tuple[int, ...],
    fortran: bool,
    dtype: np.dtype[np.generic],
    name: str,
    path: str,
) -> NDArray[np.generic]:
    try:
        with archive.open(info) as stream:
            _read_header(stream)
            data = stream.read(prod(shape) * dtype.itemsize)
            stream.read(1)  # reaching the end is what checks the checksum
    except _DAMAGE:
        raise corrupt(path, f"array `{name}` cannot be expanded") from None
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array).astype(_WIDENED.get(dtype.name, dtype.name))


def to_bytes(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """An `.npz` with the arrays sorted by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            array = io.BytesIO()
            np.lib.format.write_array(array, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name + _SUFFIX, _EPOCH), array.getvalue())
    return buffer.getvalue()
