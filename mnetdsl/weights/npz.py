"""NumPy's `.npz`: a zip of `.npy` arrays. Pickled objects are refused, and only arrays that are wanted are expanded,
to the size that their header states: an archive that expands without end is never followed."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.npy import elements, read_header, to_npy
from mnetdsl.weights.entry import Entry, corrupt

_SUFFIX = ".npy"
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
            header = read_header(stream)
        if header.holds_objects:
            raise MnetError(_pickled(name, path))
        dtype = header.dtype.name
        size = header.byte_size
    except _DAMAGE:
        raise corrupt(path, f"array `{name}` cannot be read") from None
    if info.file_size - header.size != size:
        raise corrupt(path, f"array `{name}` has {info.file_size - header.size} bytes instead of its shape's {size}")
    known = dtype in _WIDENED or dtype in _INTEGERS
    return Entry(header.shape, dtype, partial(_values, archive, info, name, path) if known else None)


def _values(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, path: str) -> NDArray[np.generic]:
    try:
        with archive.open(info) as stream:
            header = read_header(stream)
            data = stream.read(header.byte_size)
            stream.read(1)  # reaching the end is what checks the checksum
        array = elements(header, data)
    except _DAMAGE:
        raise corrupt(path, f"array `{name}` cannot be expanded") from None
    return array.astype(_WIDENED.get(array.dtype.name, array.dtype.name), copy=False)


def _pickled(name: str, path: str) -> Diagnostic:
    return error(
        "MN0710",
        f"`{name}` holds pickled Python objects, which could run code: not read",
        location=path,
        help='save plain float arrays: `numpy.savez(path, **{"stem.conv.weight": array, …})`',
    )


def to_bytes(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """An `.npz` with the arrays sorted by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            archive.writestr(zipfile.ZipInfo(name + _SUFFIX, _EPOCH), to_npy(arrays[name]))
    return buffer.getvalue()
