"""Counts what a protocol buffer holds before it is unpacked: a small file can ask for much memory.

Two bytes are an empty message, which takes some hundred once it is an object. Source: the encoding of protocol
buffers (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Mapping

MAX_ENTRIES = 1_000_000
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class TooManyError(ValueError):
    """More entries than any network has."""


class _Tree(dict[int, "_Tree"]):
    """Field number -> the message in it, for fields that hold messages with messages."""


_TENSOR = _Tree()
_ATTRIBUTE = _Tree({5: _TENSOR})
_NODE = _Tree({5: _ATTRIBUTE})
_GRAPH = _Tree({1: _NODE, 5: _TENSOR})
_MODEL = _Tree({7: _GRAPH})


def check_size(data: bytes) -> None:
    """Raises `TooManyError` for more fields than `MAX_ENTRIES`, `ValueError` where it is no such file."""
    _count(data, 0, len(data), _MODEL, 0)


def _count(data: bytes, place: int, end: int, tree: Mapping[int, _Tree], count: int) -> int:
    while place < end:
        tag, place = _varint(data, place, end)
        count += 1
        if count > MAX_ENTRIES:
            raise TooManyError(f"it has more than {MAX_ENTRIES} entries")
        field, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _, place = _varint(data, place, end)
        elif kind == FIXED64:
            place += 8
        elif kind == FIXED32:
            place += 4
        elif kind == BYTES:
            size, place = _varint(data, place, end)
            if place + size > end:
                raise ValueError("it ends too early, or lengths inside it are too large")
            if field in tree:
                count = _count(data, place, place + size, tree[field], count)
            place += size
        else:
            raise ValueError("its encoding is not that of protocol buffers")
    if place > end:
        raise ValueError("it ends too early")
    return count


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise ValueError("it ends too early, or its encoding is not that of protocol buffers")
