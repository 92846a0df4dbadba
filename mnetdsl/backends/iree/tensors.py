"""Building blocks of the emitted linalg: typed values on tensors, built at MLIR's current insertion point.

All tensors are static. Functions take and return MLIR values (`iree.compiler.ir.Value`, untyped for mypy since the
bindings carry no types); element types follow from the operands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, iree_tensor_ext, linalg, tensor
from numpy.typing import NDArray

from mnetdsl.ir.types import ElementType, Shape, TensorType

MlirValue = Any
MlirType = Any
Iterator = Literal["parallel", "reduction"]


def element_type(element: ElementType) -> MlirType:
    """IREE computes on signless integers only, so u8 becomes i8; whoever reads one widens it without a sign."""
    if element is ElementType.F32:
        return mlir.F32Type.get()
    return mlir.IntegerType.get_signless(8 * element.byte_width)


def tensor_type(type: TensorType) -> MlirType:
    return mlir.RankedTensorType.get(type.shape, element_type(type.element))


def shape_of(value: MlirValue) -> Shape:
    return tuple(value.type.shape)


def scalar(value: float) -> MlirValue:
    """An f32 constant."""
    return arith.constant(mlir.F32Type.get(), float(np.float32(value)))


def number(value: float, type: MlirType) -> MlirValue:
    """A constant of a scalar type: `value` as an integer of that width, or rounded to float32."""
    return scalar(value) if isinstance(type, mlir.F32Type) else arith.constant(type, int(value))


def dense(array: NDArray[np.float32]) -> MlirValue:
    """A small f32 tensor whose elements stand in the text."""
    return arith.constant(
        mlir.RankedTensorType.get(array.shape, mlir.F32Type.get()),
        mlir.DenseElementsAttr.get(np.ascontiguousarray(array, np.float32)),
    )


def empty(shape: Shape, element: MlirType | None = None) -> MlirValue:
    return tensor.EmptyOp(list(shape), element or mlir.F32Type.get()).result


def filled(shape: Shape, value: float, element: MlirType | None = None) -> MlirValue:
    """A tensor with all elements `value`, f32 where `element` is None."""
    type = element or mlir.F32Type.get()
    return linalg.fill(number(value, type), outs=[empty(shape, type)])


@dataclass(frozen=True)
class Indexed:
    """A tensor read at some of the loop's dimensions: its dimension k is the loop's `dimensions[k]`."""

    value: MlirValue
    dimensions: tuple[int, ...]


def whole(value: MlirValue) -> Indexed:
    """Read at all dimensions of the loop."""
    return Indexed(value, tuple(range(len(shape_of(value)))))


def per_channel(value: MlirValue, rank: int) -> Indexed:
    """A vector read at the last of `rank` dimensions."""
    return Indexed(value, (rank - 1,))


def structured(
    iterators: Sequence[Iterator],
    inputs: Sequence[Indexed],
    output: Indexed,
    body: Callable[..., MlirValue],
) -> MlirValue:
    """A `linalg.generic`: `body` gets one scalar an input, then the output's scalar so far, and returns the new one."""
    rank = len(iterators)
    maps = [
        mlir.AffineMap.get(rank, 0, [mlir.AffineExpr.get_dim(d) for d in operand.dimensions])
        for operand in (*inputs, output)
    ]
    kinds = [mlir.Attribute.parse(f"#linalg.iterator_type<{kind}>") for kind in iterators]
    op = linalg.GenericOp(
        [output.value.type],
        [operand.value for operand in inputs],
        [output.value],
        mlir.ArrayAttr.get([mlir.AffineMapAttr.get(each) for each in maps]),
        mlir.ArrayAttr.get(kinds),
    )
    block = op.regions[0].blocks.append(*(operand.value.type.element_type for operand in (*inputs, output)))
    with mlir.InsertionPoint(block):
        linalg.yield_([body(*block.arguments)])
    return op.result


def elementwise(
    shape: Shape, inputs: Sequence[Indexed], body: Callable[..., MlirValue], element: MlirType | None = None
) -> MlirValue:
    """A tensor of `shape`, f32 where `element` is None, whose elements `body` computes from one scalar an input."""
    into = whole(empty(shape, element))
    return structured(["parallel"] * len(shape), inputs, into, lambda *scalars: body(*scalars[: len(inputs)]))


def reduced(
    value: MlirValue, axes: Sequence[int], start: float, combine: Callable[[MlirValue, MlirValue], MlirValue]
) -> MlirValue:
    """`value` without the dimensions `axes`, its elements there combined, beginning with `start`; same element type."""
    shape = shape_of(value)
    kept = tuple(d for d in range(len(shape)) if d not in axes)
    iterators: list[Iterator] = ["reduction" if d in axes else "parallel" for d in range(len(shape))]
    into = Indexed(filled(tuple(shape[d] for d in kept), start, value.type.element_type), kept)
    return structured(iterators, [whole(value)], into, combine)


def unfused(value: MlirValue) -> MlirValue:
    """`value` in memory: IREE joins nothing before it with anything behind it into one loop."""
    return iree_tensor_ext.compute_barrier_start(value.type, value, [])


def padded(value: MlirValue, padding: Sequence[int], border: float) -> MlirValue:
    """`[N, H, W, C]` with [top, bottom, left, right] pixels of `border` around height and width."""
    top, bottom, left, right = padding
    if not any(padding):
        return value
    batch, height, width, channels = shape_of(value)
    shape = (batch, top + height + bottom, left + width + right, channels)
    filling = number(border, value.type.element_type)
    op = tensor.PadOp(
        mlir.RankedTensorType.get(shape, value.type.element_type),
        value,
        [],
        [],
        [0, top, left, 0],
        [0, bottom, right, 0],
    )
    index = mlir.IndexType.get()
    block = op.regions[0].blocks.append(index, index, index, index)
    with mlir.InsertionPoint(block):
        tensor.YieldOp(filling)
    return op.result


def cropped(value: MlirValue, size: tuple[int, int]) -> MlirValue:
    """The first `size` rows and columns of `[N, H, W, C]`."""
    batch, height, width, channels = shape_of(value)
    if size == (height, width):
        return value
    return boxed(value, (0, 0, 0, 0), (batch, *size, channels))


def boxed(value: MlirValue, begin: Sequence[int], shape: Shape) -> MlirValue:
    """A box of `shape` out of `value`, its first corner at `begin`."""
    type = mlir.RankedTensorType.get(shape, value.type.element_type)
    return tensor.ExtractSliceOp(type, value, [], [], [], list(begin), list(shape), [1] * len(shape)).result


def collapsed(value: MlirValue, groups: Sequence[Sequence[int]]) -> MlirValue:
    """Joins each group of neighbouring dimensions to one."""
    shape = shape_of(value)
    if len(groups) == len(shape):
        return value
    result = tuple(int(np.prod([shape[d] for d in group], dtype=np.int64)) for group in groups)
    type = mlir.RankedTensorType.get(result, value.type.element_type)
    return tensor.CollapseShapeOp(type, value, _groups_attribute(groups)).result


def expanded(value: MlirValue, shape: Shape, groups: Sequence[Sequence[int]]) -> MlirValue:
    """Splits dimension k into the dimensions `groups[k]` of `shape`."""
    if len(groups) == len(shape):
        return value
    type = mlir.RankedTensorType.get(shape, value.type.element_type)
    return tensor.ExpandShapeOp(type, value, _groups_attribute(groups), [], list(shape)).result


def reshaped(value: MlirValue, shape: Shape) -> MlirValue:
    """The same elements in the same order under another shape."""
    if shape_of(value) == shape:
        return value
    flat = collapsed(value, [range(len(shape_of(value)))])
    return expanded(flat, shape, [range(len(shape))])


def broadcast_operand(value: MlirValue, shape: Shape) -> Indexed:
    """`value`, of the rank of `shape` with sizes equal or 1, read so that sizes of 1 serve the whole of theirs.

    Dimensions that are spread are dropped from the tensor rather than indexed with 0: linalg's transformations expect
    maps that only select dimensions.
    """
    sizes = shape_of(value)
    kept = tuple(d for d, size in enumerate(sizes) if size == shape[d])
    if len(kept) == len(sizes):
        return whole(value)
    groups: list[list[int]] = []
    for d in range(len(sizes)):
        if d in kept and (not groups or any(e in kept for e in groups[-1])):
            groups.append([d])
        elif groups:
            groups[-1].append(d)
        else:
            groups.append([d])
    return Indexed(collapsed(value, groups if kept else []), kept)


def _groups_attribute(groups: Sequence[Sequence[int]]) -> Any:
    i64 = mlir.IntegerType.get_signless(64)
    return mlir.ArrayAttr.get([mlir.ArrayAttr.get([mlir.IntegerAttr.get(i64, d) for d in group]) for group in groups])
