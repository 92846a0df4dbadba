"""Layers that move stored bytes, and those that are tables of them: what their kernels are given."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.layout import Packed
from mnetdsl.backends.iree.quantized.kernels.frames import ByteFrame
from mnetdsl.backends.iree.quantized.kernels.maps import HALF_RANGE, byte_isa, byte_map, framed, unsigned
from mnetdsl.backends.iree.quantized.kernels.runs import ByteRuns, Loop, Run
from mnetdsl.backends.iree.quantized.kernels.tables import ByteTable, table_rows
from mnetdsl.backends.iree.quantized.layer import Array
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.quantize import Requantize
from mnetdsl.ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose
from mnetdsl.ir.types import ElementType, Shape
from mnetdsl.numerics.clamps import stored_number
from mnetdsl.numerics.concat import joined
from mnetdsl.numerics.conversions import requantize as requantized
from mnetdsl.numerics.tables import all_stored

WIDE = Unsuitable("its numbers have 16 bits")


def reshape(shop: Workshop, op: Op) -> str | Unsuitable:
    """Another name for the same bytes, or, where padding comes between them, the same channels after one another."""
    assert isinstance(op, Reshape)
    if not are_bytes(op.result):
        return WIDE
    before, after = op.input.type.shape[-1], op.type.shape[-1]
    source = shop.scope.packed(op.input)
    pixels, pitch = prod(op.input.type.shape[:-1]), source.pitch
    if before == after or pitch == before:
        shop.scope.bind_packed(op.result, Packed(source.value, pitch if before == after else after, source.raised))
        return "reshape"
    if before % after == 0:
        width = pitch_of(shop, op.result)
        parts = before // after
        loops: tuple[Loop, ...] = ((pixels, pitch, parts * width), (parts, after, width))
        return _moved(shop, op, "reshape", width, [(source, loops, after, 0, 0)])
    if after % before == 0:
        width = pitch_of(shop, op.result)
        parts = after // before
        loops = ((pixels // parts, parts * pitch, width), (parts, pitch, before))
    else:
        width = after
        loops = ((pixels, pitch, before),)
    return _moved(shop, op, "reshape", width, [(source, loops, before, 0, 0)])


def pad(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Pad)
    if not are_bytes(op.result):
        return WIDE
    numbers = grid(op.type)
    border = min(max(stored_number(numbers, op.value), numbers.low), numbers.high)
    _, height, width, channels = op.input.type.shape
    top, bottom, left, right = op.padding
    pitch = padded_size(channels, byte_isa(shop).lanes)
    frame = ByteFrame(height, width * pitch, (top, bottom, left * pitch, right * pitch), unsigned(numbers, border))
    bind(shop, op.result, framed(shop, op.input, pitch, frame), pitch)
    return frame.name


def box(shop: Workshop, op: Op) -> str | Unsuitable:
    """A slice or a transposition."""
    assert isinstance(op, Slice | Transpose)
    if not are_bytes(op.result):
        return WIDE
    source, width = shop.scope.packed(op.input), pitch_of(shop, op.result)
    read, written = _steps(op.input.type.shape, source.pitch), _steps(op.type.shape, width)
    start = 0
    if isinstance(op, Transpose):
        read = [read[axis] for axis in op.order]
    else:
        start = sum(begin * step for begin, step in zip(op.begin, read, strict=True))
    loops = list(zip(op.type.shape[1:], read, written, strict=True))
    size = 1
    if read[-1] == 1:
        size, _, _ = loops.pop()
    return _moved(shop, op, op.opcode, width, [(source, loops, size, start, 0)])


def concat(shop: Workshop, op: Op) -> str | Unsuitable:
    """Along any axis; what has another grid than the result goes through a table first."""
    assert isinstance(op, Concat)
    if not are_bytes(op.result, *op.inputs):
        return WIDE
    shape, width = op.type.shape, pitch_of(shop, op.result)
    outer, start = prod(shape[1 : op.axis]), 0
    last = op.axis == len(shape) - 1
    inner = 1 if last else prod(shape[op.axis : -1])
    parts = []
    for place, value in enumerate(op.inputs):
        source = _regridded(shop, op, value, place)
        pixels = 1 if last else prod(value.type.shape[op.axis : -1])
        loops = ((outer, pixels * source.pitch, inner * width), (pixels, source.pitch, width))
        whole = not last and source.pitch == width
        parts.append((source, loops, width if whole else value.type.shape[-1], 0, start))
        start += value.type.shape[-1] if last else pixels * width
    return _moved(shop, op, "concat", width, parts)


def requantize(shop: Workshop, op: Op) -> str | Unsuitable:
    assert isinstance(op, Requantize)
    if not are_bytes(op.input, op.result):
        return WIDE
    source, result = grid(op.input.type), grid(op.type)
    table = requantized(all_stored(source.dtype), source, result)
    found, name = looked_up(shop, op.input, unsigned_table(table, source.dtype, result.dtype), f"{op.name}.packed")
    shop.scope.bind_packed(op.result, Packed(found.value, found.pitch, op.type.element is ElementType.I8))
    return name


def looked_up(shop: Workshop, value: Value, table: Array, name: str) -> tuple[Packed, str]:
    """`value` by a table of `unsigned_table`, as unsigned bytes, and the kernel's name; `name` is the table's."""
    isa = byte_isa(shop)
    source = byte_map(shop, value)
    kernel = ByteTable(prod(value.type.shape[:-1]) * source.pitch, isa)
    rows = shop.scope.prepared(name, table_rows(isa, table.view(np.int8)))
    (found,) = shop.executables.dispatch(kernel, [source.value, rows])
    return Packed(found, source.pitch, value.type.element is ElementType.I8), kernel.name


def unsigned_table(stored: Array, source: str, result: str) -> Array:
    """Entries [..., 256] in the order of `all_stored`, of these dtypes, as unsigned bytes by unsigned bytes."""
    entries: Array = stored.view(np.uint8) ^ np.uint8(HALF_RANGE if result == "int8" else 0)
    return np.roll(entries, HALF_RANGE, axis=-1) if source == "int8" else entries


def are_bytes(*values: Value) -> bool:
    return all(value.type.element.byte_width == 1 for value in values)


def pitch_of(shop: Workshop, value: Value) -> int:
    """Whole vectors where a layer reads it; what only leaves the module has no padding."""
    channels = value.type.shape[-1]
    return padded_size(channels, byte_isa(shop).lanes) if value.users else channels


def bind(shop: Workshop, value: Value, emitted: object, pitch: int) -> None:
    """Binds what a kernel made, unsigned bytes."""
    shop.scope.bind_packed(value, Packed(emitted, pitch, value.type.element is ElementType.I8))


def _regridded(shop: Workshop, op: Concat, value: Value, place: int) -> Packed:
    source, result = grid(value.type), grid(op.type)
    if source == result:
        return shop.scope.packed(value)
    table = unsigned_table(joined(all_stored(source.dtype), source, result), source.dtype, result.dtype)
    return looked_up(shop, value, table, f"{op.name}.joined{place}")[0]


def _steps(shape: Shape, pitch: int) -> list[int]:
    """Bytes from one number to the next along each axis but the batch."""
    sizes = [*shape[1:-1], pitch]
    return [prod(sizes[axis:]) for axis in range(1, len(sizes))] + [1]


Part = tuple[Packed, Sequence[Loop], int, int, int]
"""A map, loops, bytes of a run, where the first run begins in the map and in the result."""


def _moved(shop: Workshop, op: Op, title: str, pitch: int, parts: Sequence[Part]) -> str:
    """Emits runs of bytes of the parts' maps as the result of `op`."""
    raised = op.type.element is ElementType.I8
    runs = tuple(
        Run(place, start, target, tuple(loops), size, flip=source.raised != raised).joined()
        for place, (source, loops, size, start, target) in enumerate(parts)
    )
    sizes = tuple(int(source.value.type.shape[0]) for source, *_ in parts)
    kernel = ByteRuns(title, sizes, prod(op.type.shape[:-1]) * pitch, runs)
    (result,) = shop.executables.dispatch(kernel, [source.value for source, *_ in parts])
    bind(shop, op.result, result, pitch)
    return kernel.name
