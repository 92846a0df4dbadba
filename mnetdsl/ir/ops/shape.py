"""Operations that move elements without computing: pad, concat, reshape, transpose, slice."""

from __future__ import annotations

from math import prod

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Float, Int, Ints, Operand, VariadicOperand
from mnetdsl.ir.types import TensorType


class Pad(Op):
    """Adds a border of `value` around height and width.

    input [N, H, W, C], padding [top, bottom, left, right]  ->  [N, top+H+bottom, left+W+right, C]
    """

    opcode = "pad"
    input = Operand(rank=4)
    padding = Ints(4, minimum=0)
    value = Float(default=0.0)

    def infer(self) -> TensorType:
        batch, height, width, channels = self.input.type.shape
        top, bottom, left, right = self.padding
        return self.input.type.with_shape((batch, top + height + bottom, left + width + right, channels))


class Concat(Op):
    """Joins tensors along `axis` (never 0, the batch); all other sizes are equal.

    inputs [N, …, A_i, …]  ->  [N, …, sum A_i, …]
    """

    opcode = "concat"
    inputs = VariadicOperand()
    axis = Int()

    def infer(self) -> TensorType:
        if not self.inputs:
            raise ShapeError("`concat` needs at least one tensor", "inputs")
        first = self.inputs[0].type
        if not 1 <= self.axis < first.rank:
            raise ShapeError(f"`concat` has no axis {self.axis} in {first}", "axis")
        for value in self.inputs[1:]:
            others = (value.type.shape[: self.axis], value.type.shape[self.axis + 1 :])
            if others != (first.shape[: self.axis], first.shape[self.axis + 1 :]):
                raise ShapeError(
                    f"`concat` along axis {self.axis} needs equal other sizes, got {first} and {value.type}", "inputs"
                )
        joined = sum(value.type.shape[self.axis] for value in self.inputs)
        return first.with_shape((*first.shape[: self.axis], joined, *first.shape[self.axis + 1 :]))


class Reshape(Op):
    """The same elements in the same order under another shape; the batch stays.

    input [N, …], shape (without the batch)  ->  [N, *shape]
    """

    opcode = "reshape"
    input = Operand()
    shape = Ints(minimum=1)

    def infer(self) -> TensorType:
        batch, *sizes = self.input.type.shape
        if prod(sizes) != prod(self.shape):
            raise ShapeError(
                f"`reshape` cannot turn {prod(sizes)} elements ({self.input.type}) into "
                f"{'x'.join(map(str, self.shape))} ({prod(self.shape)})",
                "shape",
            )
        return self.input.type.with_shape((batch, *self.shape))


class Transpose(Op):
    """Puts the axes into another order; the batch is not counted and stays.

    input [N, …], order: axis k of the result is axis order[k] of the input  ->  [N, …]
    """

    opcode = "transpose"
    input = Operand()
    order = Ints(minimum=0)

    def infer(self) -> TensorType:
        batch, *sizes = self.input.type.shape
        if sorted(self.order) != list(range(len(sizes))):
            raise ShapeError(
                f"`transpose` of {self.input.type} needs each axis from 0 to {len(sizes) - 1} once, "
                f"got {list(self.order)} (the batch is not counted)",
                "order",
            )
        return self.input.type.with_shape((batch, *(sizes[axis] for axis in self.order)))


class Slice(Op):
    """A box of the tensor: `size` elements from `begin` on along each axis; the batch is not counted and stays.

    input [N, …], begin, size (without the batch)  ->  [N, *size]
    """

    opcode = "slice"
    input = Operand()
    begin = Ints(minimum=0)
    size = Ints(minimum=1)

    def infer(self) -> TensorType:
        batch, *sizes = self.input.type.shape
        for name, values in (("begin", self.begin), ("size", self.size)):
            if len(values) != len(sizes):
                raise ShapeError(
                    f"`{name}` of `slice` needs one number for each of the {len(sizes)} axes of {self.input.type}, "
                    f"got {list(values)} (the batch is not counted)",
                    name,
                )
        for axis, (start, count, held) in enumerate(zip(self.begin, self.size, sizes, strict=True)):
            if start + count > held:
                raise ShapeError(
                    f"`slice` of {count} from {start} on ends behind the {held} elements of axis {axis} "
                    f"of {self.input.type}",
                    "size",
                )
        return self.input.type.with_shape((batch, *self.size))
