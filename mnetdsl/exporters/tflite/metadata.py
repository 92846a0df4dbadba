"""TensorFlow Lite metadata: how the pixels of a float network are normalized, and the labels of its classes.

Source: metadata_schema.fbs of TensorFlow Lite Support, whose few fields needed here are written by their numbers;
there is no maintained package with its generated code.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers

ENTRY = "TFLITE_METADATA"
IDENTIFIER = b"M001"
NORMALIZATION = 1
"""`NormalizationOptions` in the union of process units."""
AXIS_LABELS = 2
"""`TENSOR_AXIS_LABELS` of associated files."""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date of a zip: files carry none of their own."""


@dataclass(frozen=True)
class TensorNote:
    """What is said of an input or output: its name, mean and std of its pixels, labels of its classes where it has
    them."""

    name: str
    mean: Sequence[float] = field(default=())
    std: Sequence[float] = field(default=())
    labels: Sequence[str] = field(default=())

    @property
    def label_file(self) -> str:
        return f"{self.name}.txt"


def packed_metadata(name: str, inputs: Sequence[TensorNote], outputs: Sequence[TensorNote]) -> bytes:
    """The buffer of the entry `ENTRY`."""
    builder = flatbuffers.Builder(1024)
    notes = [_tables(builder, [_tensor(builder, note) for note in group]) for group in (inputs, outputs)]
    graph = _table(builder, 6, {2: notes[0], 3: notes[1]})
    graphs = _tables(builder, [graph])
    root = _table(builder, 8, {0: builder.CreateString(name), 3: graphs})
    builder.Finish(root, file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def packed_labels(notes: Sequence[TensorNote]) -> bytes:
    """The zip that is appended to the file; empty where there are no labels."""
    held = [note for note in notes if note.labels]
    if not held:
        return b""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for note in held:
            archive.writestr(zipfile.ZipInfo(note.label_file, EPOCH), "".join(f"{label}\n" for label in note.labels))
    return stream.getvalue()


def _tensor(builder: Any, note: TensorNote) -> int:
    fields = {0: builder.CreateString(note.name)}
    if note.labels:
        name = builder.CreateString(note.label_file)
        builder.StartObject(4)
        builder.PrependUOffsetTRelativeSlot(0, name, 0)
        builder.PrependInt8Slot(2, AXIS_LABELS, 0)
        fields[6] = _tables(builder, [builder.EndObject()])
    if note.std:
        options = _table(builder, 2, {0: _floats(builder, note.mean), 1: _floats(builder, note.std)})
        builder.StartObject(2)
        builder.PrependUint8Slot(0, NORMALIZATION, 0)
        builder.PrependUOffsetTRelativeSlot(1, options, 0)
        fields[4] = _tables(builder, [builder.EndObject()])
    return _table(builder, 7, fields)


def _table(builder: Any, count: int, fields: dict[int, int]) -> int:
    builder.StartObject(count)
    for number, place in fields.items():
        builder.PrependUOffsetTRelativeSlot(number, place, 0)
    return int(builder.EndObject())


def _tables(builder: Any, places: Sequence[int]) -> int:
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())


def _floats(builder: Any, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())
