"""TensorFlow Lite metadata: how pixels are normalized, and the labels that are packed behind the model.

Source: metadata_schema.fbs of TensorFlow Lite Support. There is no maintained package with its generated code, so
that the few fields needed are followed by their numbers in that schema.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

from mnetdsl.importers.tflite.flat import FlatModel
from mnetdsl.importers.tflite.reader import BROKEN

ENTRY = "TFLITE_METADATA"
IDENTIFIER = b"M001"
NORMALIZATION = 1
AXIS_LABELS, VALUE_LABELS = 2, 3
MAX_ITEMS = 64
MAX_LABELS = 1 << 20
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, KeyError)


@dataclass(frozen=True)
class Metadata:
    """Of the first input and of each output by position; empty where the file does not say."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    labels: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

    def labels_of(self, output: int) -> tuple[str, ...]:
        return self.labels[output] if output < len(self.labels) else ()


def read_metadata(model: FlatModel, data: bytes) -> Metadata:
    """What the model's metadata says; where it is damaged, a note and nothing else: the network does not need it."""
    packed = model.metadata.get(ENTRY)
    if packed is None:
        return Metadata()
    try:
        return _read(packed, data)
    except (*BROKEN, *_BROKEN_ZIP, UnicodeDecodeError):
        return Metadata(notes=("the metadata of the file is damaged: labels and normalization are not read",))


def _read(packed: bytes, data: bytes) -> Metadata:
    from flatbuffers.table import Table

    if packed[4:8] != IDENTIFIER:
        raise ValueError("another identifier")
    root = Table(packed, int.from_bytes(packed[:4], "little"))
    graphs = _tables(root, 3)
    if not graphs:
        return Metadata()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    for unit in (unit for tensor in _tables(graphs[0], 2)[:1] for unit in _tables(tensor, 4)):
        if _byte(unit, 0) == NORMALIZATION:
            options = _table(unit, 1)
            mean, std = _floats(options, 0), _floats(options, 1)
    if not all(map(math.isfinite, (*mean, *std))) or any(item <= 0 for item in std):
        raise ValueError("no normalization")
    files = [
        [_string(file, 0) for file in _tables(tensor, 6) if _byte(file, 2) in (AXIS_LABELS, VALUE_LABELS)]
        for tensor in _tables(graphs[0], 3)
    ]
    return Metadata(mean, std, tuple(_labels(names[0], data) if names else () for names in files))


def _labels(name: str, data: bytes) -> tuple[str, ...]:
    """The lines of a file in the zip that is appended to the model."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if archive.getinfo(name).file_size > MAX_LABELS:
            raise ValueError("too many labels")
        with archive.open(name) as stream:
            text = stream.read(MAX_LABELS + 1).decode("utf-8")
    return tuple(line.strip() for line in text.splitlines())


# Fields of a table by their number in the schema


def _offset(table: Any, field: int) -> int:
    """Where the field lies, 0 where it is left out."""
    found: int = table.Offset(4 + 2 * field)
    return found


def _byte(table: Any, field: int) -> int:
    from flatbuffers import number_types

    place = _offset(table, field)
    return int(table.Get(number_types.Uint8Flags, place + table.Pos)) if place else 0


def _table(table: Any, field: int) -> Any:
    from flatbuffers.table import Table

    place = _offset(table, field)
    if not place:
        raise ValueError("a table is missing")
    return Table(table.Bytes, table.Indirect(place + table.Pos))


def _tables(table: Any, field: int) -> list[Any]:
    from flatbuffers.table import Table

    place = _offset(table, field)
    if not place:
        return []
    count = min(int(table.VectorLen(place)), MAX_ITEMS)
    begin = table.Vector(place)
    return [Table(table.Bytes, table.Indirect(begin + 4 * index)) for index in range(count)]


def _floats(table: Any, field: int) -> tuple[float, ...]:
    from flatbuffers import number_types

    place = _offset(table, field)
    if not place:
        return ()
    count = min(int(table.VectorLen(place)), MAX_ITEMS)
    begin = table.Vector(place)
    return tuple(float(table.Get(number_types.Float32Flags, begin + 4 * index)) for index in range(count))


def _string(table: Any, field: int) -> str:
    place = _offset(table, field)
    if not place:
        raise ValueError("a name is missing")
    found: bytes = table.String(place + table.Pos)
    return found.decode("utf-8")
