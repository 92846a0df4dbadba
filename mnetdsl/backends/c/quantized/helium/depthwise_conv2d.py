"""Depthwise 3x3 and 5x5 on Helium: patches of a channel in vectors, gathered from quads in scratch memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.backends.c.program import Call
from mnetdsl.backends.c.quantized import depthwise_conv2d
from mnetdsl.backends.c.quantized.helium.finish import Finish, finish_of, stored_in_bytes, taps_and_finish, taps_of
from mnetdsl.backends.c.quantized.levels import as_words
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.types import ElementType
from mnetdsl.plan.sweep import Sweep
from mnetdsl.plan.tasks import Clearance, Mode, Scratch

LANES = 16
QUAD = 64
"""Bytes of a quad of 16 channels."""
_ROWS = {3: 2, 5: 3}
"""Size of the filter -> rows of quads that an output reads."""
_SLACK = {3: 1, 5: 3}
"""Quads that the last gather of a row reads behind its first one."""
_COLUMNS = {1: 4, 2: 8}
"""Stride -> columns of outputs that a step of the kernel makes."""
_MAP_MEMORY = 4096
"""Bytes of scratch memory up to which the quads of a whole map are made before its outputs."""
_MAP_COLUMNS = 16
"""Columns of outputs up to which a kernel is made for their number."""
_REACH = 2**16
"""Bytes from the first to any other output of a step stay below this."""


def fits(op: DepthwiseConv2d) -> bool:
    kernel, (stride, other) = op.filter.type.shape, op.strides
    return (
        stored_in_bytes(op)
        and kernel[0] == kernel[1]
        and kernel[0] in _ROWS
        and kernel[3] == 1
        and stride == other
        and stride in _COLUMNS
        and op.dilations == (1, 1)
        and op.input.type.shape[3] % 4 == 0
        and min(op.padding[0], op.padding[2]) >= 0
        and (op.type.shape[2] + _COLUMNS[stride]) * op.type.shape[3] < _REACH
    )


def choose(op: DepthwiseConv2d) -> Choice:
    """Lines are copied to scratch memory before outputs may take their place.

    A layer whose output is as large as its input goes over 16 channels at a time and may be made in place. Others go
    over all channels row by row, and their output may follow the input closely, where that saves more than it costs.
    Small maps are copied whole, 16 channels at a time, and a kernel takes all rows of a channel in turn.
    """
    portable = depthwise_conv2d.choose(op)
    sources = ("quantized", "helium/common", *(("helium/patterns",) if _size(op) == 3 else ()), "helium/quads")
    if _by_map(op):
        mode = Mode("forward", (_in_place(op),), Scratch(_map_quads(op), 1))
        return replace(portable, sources=sources, modes=(mode,))
    rings = _rings(op)
    mode = Mode("forward", (_in_place(op),), Scratch(rings, 1))
    if _row_by_row(op):
        ahead = Clearance(above=op.input.type.byte_size, below=_sweep(op).forward())
        mode = Mode("forward", (ahead,), Scratch(rings * _blocks(op), 1))
    return replace(portable, sources=sources, modes=(mode,))


def _size(op: DepthwiseConv2d) -> int:
    return op.filter.type.shape[0]


def _map_quads(op: DepthwiseConv2d) -> int:
    """Bytes of the quads of all rows, 16 channels of them."""
    stride, (height, columns) = op.strides[0], op.type.shape[1:3]
    return QUAD * (-(-height // (3 - stride)) + 1) * (-(-columns // (3 - stride)) + 1)


def _by_map(op: DepthwiseConv2d) -> bool:
    return _size(op) == 3 and op.type.shape[2] <= _MAP_COLUMNS and _map_quads(op) <= _MAP_MEMORY


def _rings(op: DepthwiseConv2d) -> int:
    """Bytes of the rows of quads of 16 channels."""
    return _ROWS[_size(op)] * QUAD * (_gathers(op) + _SLACK[_size(op)])


def _blocks(op: DepthwiseConv2d) -> int:
    return -(-op.input.type.shape[3] // LANES)


def _in_place(op: DepthwiseConv2d) -> Clearance | None:
    alike = op.type.shape == op.input.type.shape and set(op.padding) == {_size(op) // 2}
    return Clearance(above=op.input.type.byte_size, below=op.type.byte_size, same=True) if alike else None


def _row_by_row(op: DepthwiseConv2d) -> bool:
    return _in_place(op) is None and _rings(op) * _blocks(op) < op.type.byte_size


def _sweep(op: DepthwiseConv2d) -> Sweep:
    """Row by row of quads; one that is read for the first time is copied before outputs are written."""
    lines = 2 if op.strides[0] == 1 else 1
    rows = np.arange(-(-op.type.shape[1] // lines), dtype=np.int64)
    height, columns, channels = op.input.type.shape[1:]
    first = 2 * (rows + _ROWS[_size(op)] - 1)
    begin, end = np.where(rows > 0, first, 0) - op.padding[0], first + 2 - op.padding[0]
    unit = lines * op.type.shape[2] * op.type.shape[3]
    line = columns * channels
    return Sweep(unit, unit, np.clip(begin, 0, height) * line, np.clip(end, 0, height) * line)


def _edge(op: DepthwiseConv2d) -> str:
    """How outputs end within a step: none, half of a step, any."""
    stride, (height, columns) = op.strides[0], op.type.shape[1:3]
    whole, rest = divmod(columns, _COLUMNS[stride])
    if whole == 0 or (stride == 1 and height % 2):
        return "any"
    return "none" if rest == 0 else "half" if rest <= _COLUMNS[stride] // 2 else "any"


def _unrolled(op: DepthwiseConv2d) -> int:
    """Steps in a turn of a kernel's loop: two where that leaves none."""
    whole = op.type.shape[2] // _COLUMNS[op.strides[0]]
    return 2 if _size(op) == 3 and whole % 2 == 0 and _edge(op) != "any" else 1


def _gathers(op: DepthwiseConv2d) -> int:
    """Patches that the kernel gathers for a row of quads."""
    stride, columns = op.strides[0], op.type.shape[2]
    step = _COLUMNS[stride] // (2 if stride == 1 else 1)
    whole, rest = divmod(columns, _COLUMNS[stride])
    return step * whole + ((step // 2 if _edge(op) == "half" else step) if rest else 0)


def emit(op: DepthwiseConv2d, emitter: Emitter) -> Sequence[Call]:
    taps, finish = (taps_and_finish if _size(op) == 3 else _taps_and_exact_finish)(op, emitter)
    stride, edge = op.strides[0], _edge(op)
    size = _size(op)
    if _by_map(op):
        function = _map_kernel(op, finish, emitter)
    else:
        unrolled = _unrolled(op)
        function = f"helium_depthwise_{size}_{stride}_{edge}{unrolled}_{finish.name}"
        values: dict[str, int | str] = {"size": size, "stride": stride, "edge": edge, "unrolled": unrolled}
        emitter.kernel("helium/depthwise_kernel", function, kind=finish.kind, shift=finish.shift, **values)
    source = grid(op.input.type)
    sizes = emitter.shape(
        "quads",
        *op.input.type.shape[1:4],
        *op.type.shape[1:3],
        op.padding[0],
        op.padding[2],
        source.zero_point,
        finish.zero,
        finish.low,
        finish.high,
        op.type.shape[3] if _row_by_row(op) else LANES,
    )
    stream = emitter.add(f"{op.name}.stream", pack(taps, finish), "Helium")
    pointers = (emitter.address(op.input), emitter.address(op.result), emitter.scratch(ElementType.I8))
    return (Call(function, (sizes, *pointers, stream)),)


def _taps_and_exact_finish(op: DepthwiseConv2d, emitter: Emitter) -> tuple[NDArray[np.int8], Finish]:
    return taps_of(op, emitter), finish_of(op, emitter)


def _map_kernel(op: DepthwiseConv2d, finish: Finish, emitter: Emitter) -> str:
    """Name, without the prefix, of the kernel for whole maps of so many columns."""
    stride, (height, columns) = op.strides[0], op.type.shape[1:3]
    single, rows = (height % 2, height // 2) if stride == 1 else (0, height)
    name = f"helium_depthwise_map_{stride}_{columns}{'r' if rows else ''}{'s' if single else ''}_{finish.name}"
    values = {"stride": stride, "width": columns, "rows": int(rows > 0), "single": single}
    emitter.kernel("helium/depthwise_map", name, kind=finish.kind, shift=finish.shift, **values)
    return name


def pack(taps: NDArray[np.int8], finish: Finish) -> NDArray[np.int32]:
    """The filter of each channel in whole words, one more number than its own at least, and its constants.

    Those of 3x3 filters stand in turn, as one LDM loads them, constants to odd registers, which the kernel's sums leave
    alone; the last word of the filter has no constant beside it where finishing is by steps. Of 5x5 filters one stands
    behind the other.
    """
    count, channels = taps.shape
    padded = np.zeros((channels, (count // 4 + 1) * 4), np.int8)
    padded[:, :count] = taps.T
    columns = (finish.bias, finish.multiplier, finish.shifts)
    constants = np.stack([as_words(column) for column in columns], axis=1)
    words = padded.view(np.int32)
    record = np.stack([words, constants], axis=2) if words.shape == constants.shape else np.hstack([words, constants])
    return (record.reshape(channels, -1)[:, :-1] if finish.kind == "steps" else record).reshape(-1)


RULE: Rule[DepthwiseConv2d] = Rule(choose, emit)
