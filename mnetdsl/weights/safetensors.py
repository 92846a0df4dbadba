"""The safetensors container: 8 bytes of header length, a JSON header, the tensors' bytes.

The package `safetensors` reads and writes it. Its header is checked here first, so that a damaged file is explained
instead of refused in a word, and bfloat16, which NumPy lacks, is widened here.
Source: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from mnetdsl.files import MIB, format_size
from mnetdsl.weights.entry import Entry, corrupt

MAX_HEADER = 100 * MIB
"""The format's own limit."""
_LENGTH_BYTES = 8
_METADATA = "__metadata__"

Decoder = Callable[[bytes], NDArray[np.generic]]


def _decode_bfloat16(data: bytes) -> NDArray[np.generic]:
    """The upper half of a float32 each: widened exactly."""
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


def _decode(source: str, target: str, data: bytes) -> NDArray[np.generic]:
    return np.frombuffer(data, source).astype(target)


_DECODERS: dict[str, tuple[int, Decoder | None]] = {
    "F64": (8, partial(_decode, "<f8", "float64")),
    "F32": (4, partial(_decode, "<f4", "float32")),
    "F16": (2, partial(_decode, "<f2", "float32")),
    "BF16": (2, _decode_bfloat16),
    "I64": (8, partial(_decode, "<i8", "int64")),
    "I32": (4, partial(_decode, "<i4", "int32")),
    "I16": (2, partial(_decode, "<i2", "int16")),
    "I8": (1, partial(_decode, "i1", "int8")),
    "U64": (8, None),
    "U32": (4, None),
    "U16": (2, None),
    "U8": (1, partial(_decode, "u1", "uint8")),
    "BOOL": (1, None),
    "F8_E5M2": (1, None),
    "F8_E4M3": (1, None),
    "C64": (8, None),
}
"""Element type -> bytes, and how to decode them."""


def read_entries(data: bytes, path: str) -> dict[str, Entry]:
    """All tensors of a file. `path` stands in messages. Raises `MnetError` MN0708 where the file is damaged."""
    if len(data) < _LENGTH_BYTES:
        raise corrupt(path, f"it has only {len(data)} bytes" if data else "it is empty")
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if length > MAX_HEADER:
        help = "this is no safetensors file; a PyTorch checkpoint is saved with safetensors.torch.save_file"
        raise corrupt(path, f"its header claims {format_size(length)} bytes", help)
    start = _LENGTH_BYTES + length
    if start > len(data):
        raise corrupt(path, f"the header claims {length} bytes, only {len(data) - _LENGTH_BYTES} follow")
    size = len(data) - start
    header = _header(data[_LENGTH_BYTES:start], path)
    ranges = [(*_check_entry(name, info, size, path), name) for name, info in header.items() if name != _METADATA]
    _check_ranges(ranges, size, path)
    try:
        tensors = deserialize(data)
    except SafetensorError as problem:
        raise corrupt(path, str(problem)) from None
    return {name: _entry(tensor) for name, tensor in tensors}


def _entry(tensor: Mapping[str, Any]) -> Entry:
    shape, element = tuple(tensor["shape"]), str(tensor["dtype"])
    _, decoder = _DECODERS.get(element, (0, None))
    read = None if decoder is None else partial(_values, decoder, tensor["data"], shape)
    return Entry(shape, element, read)


def _header(raw: bytes, path: str) -> dict[str, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names: dict[str, object] = {}
        for name, value in pairs:
            if name in names:
                raise corrupt(path, f"`{name}` stands twice in its header")
            names[name] = value
        return names

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise corrupt(path, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise corrupt(path, "its header is no JSON object")
    return header


def _check_entry(name: str, info: object, size: int, path: str) -> tuple[int, int]:
    """The bytes of a tensor, from and to, of the `size` bytes behind the header."""
    if not isinstance(info, dict):
        raise corrupt(path, f"tensor `{name}` has no description")
    element, shape, offsets = info.get("dtype"), info.get("shape"), info.get("data_offsets")
    if not _is_sizes(shape) or not isinstance(element, str):
        raise corrupt(path, f"tensor `{name}` has no valid dtype and shape")
    if not _is_sizes(offsets) or len(offsets) != 2:
        raise corrupt(path, f"tensor `{name}` has no valid data_offsets")
    begin, end = offsets
    if begin > end or end > size:
        raise corrupt(path, f"tensor `{name}` lies at bytes {begin} to {end}, only {size} bytes of tensors are there")
    width, _ = _DECODERS.get(element, (0, None))
    if width and end - begin != prod(shape) * width:
        raise corrupt(path, f"tensor `{name}` of {'x'.join(map(str, shape))} {element} cannot have {end - begin} bytes")
    return begin, end


def _values(decoder: Decoder, data: bytes, shape: tuple[int, ...]) -> NDArray[np.generic]:
    return decoder(data).reshape(shape)


def _is_sizes(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _check_ranges(ranges: list[tuple[int, int, str]], size: int, path: str) -> None:
    """Tensors neither overlap nor leave bytes unused, as the format demands."""
    ranges.sort()
    for (_, end, name), (begin, _, other) in pairwise(ranges):
        if begin < end:
            raise corrupt(path, f"tensors `{name}` and `{other}` overlap")
    covered = sum(end - begin for begin, end, _ in ranges)
    if covered != size:
        raise corrupt(path, f"{size - covered} of its bytes belong to no tensor")


def to_bytes(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """A safetensors file; equal arrays give equal bytes. Raises `ValueError` for element types it cannot hold."""
    try:
        return save({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)})
    except (KeyError, SafetensorError) as problem:
        raise ValueError(f"an element type cannot be saved: {problem}") from None
