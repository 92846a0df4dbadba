"""What other engines are given: the normalized image, or its pixels where a quantized network stores them as they are.

Formats for deployment have no declared preprocessing. A float network takes what is behind `normalize`, as converters
of other frameworks leave it; a quantized one whose input's numbers are those of the pixels takes these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnetdsl.exporters.problems import unclear_input
from mnetdsl.ir.core import Module, Op, Port, Value
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.ops.quantize import Quantize
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.numerics.conversions import quantize
from mnetdsl.numerics.grid import Grid


@dataclass(frozen=True, eq=False)
class ExportedInput:
    """`type` is that of the other format's input, which stands for all of `values`. `mean` and `std` are those of the
    pixels, empty where the caller's numbers are the network's own; `pixels` says that they are stored as they are, or
    less 128. `skipped` operations are the caller's."""

    port: Port
    type: TensorType
    values: tuple[Value, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    skipped: tuple[Op, ...] = ()
    pixels: bool = False


def exported_inputs(module: Module, *, stored: bool = False) -> list[ExportedInput]:
    """One for each input of `module`.

    `stored`: an image is given as the network stores it, round((pixel - mean) / std / scale) + zero_point, also where
    that is not the pixel. Raises `MnetError` MN2102 where an image is read in several ways.
    """
    return [_exported(port, stored) for port in module.graph.inputs]


def labels_of(port: Port) -> tuple[str, ...]:
    """The labels of an output's classes, none where it has none."""
    found = port.attributes.get("labels", ())
    return tuple(map(str, found)) if isinstance(found, tuple) else ()


def _exported(port: Port, stored: bool) -> ExportedInput:
    readers = list(dict.fromkeys(port.value.users))
    normalized = [op for op in readers if isinstance(op, Normalize)]
    if not normalized:
        type = port.value.type
        if readers and not type.element.is_float and type.quantization is None:
            raise unclear_input(port)
        return ExportedInput(port, type, (port.value,))
    first = normalized[0]
    if len(normalized) < len(readers) or any((op.mean, op.std) != (first.mean, first.std) for op in normalized):
        raise unclear_input(port)
    behind = [user for op in normalized for user in op.result.users]
    types = {op.type for op in behind if isinstance(op, Quantize)}
    if behind and len(types) == 1 and all(isinstance(op, Quantize) for op in behind):
        (type,) = types
        pixels = _stores_pixels(first, type)
        if pixels or stored:
            values = tuple(op.result for op in behind)
            return ExportedInput(port, type, values, first.mean, first.std, (*normalized, *behind), pixels)
    values = tuple(op.result for op in normalized)
    return ExportedInput(port, first.type, values, first.mean, first.std, tuple(normalized))


def _stores_pixels(normalize: Normalize, type: TensorType) -> bool:
    """Whether each pixel p of 8 bits is stored as p, or as p - 128 in int8."""
    if normalize.input.type.element is not ElementType.U8 or type.element.byte_width != 1 or type.quantization is None:
        return False
    pixels = np.arange(256)
    grid = Grid(type.element.dtype, type.quantization.scale[0], type.quantization.zero_point[0])
    mean, std = np.array(normalize.mean, np.float32), np.array(normalize.std, np.float32)
    real = (pixels[:, None].astype(np.float32) - mean) / std
    wanted = pixels - (128 if type.element is ElementType.I8 else 0)
    return bool((quantize(real, grid) == wanted[:, None]).all())
