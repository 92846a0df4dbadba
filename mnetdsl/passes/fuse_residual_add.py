"""The sum at the end of a residual branch into the convolution before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.elementwise import Add
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, called
from mnetdsl.passes.layers import other_readers


@dataclass(frozen=True)
class FuseResidualAdd(Pass):
    """f(conv(x) + b) + r is one operation: the convolution adds r to each element before it stores it.

    Before: any module; best behind `fuse-activation`. After: every `add` without activation of two equal shapes, one
    of them the result of a convolution without residual that nobody else reads, is that convolution's `residual`.
    Of two such convolutions the later one takes it. The convolution moves to the place of the sum, where both
    operands are defined, and keeps its layer name.
    """

    name: ClassVar[str] = "fuse-residual-add"

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        for op in rewriter.operations():
            if isinstance(op, Add):
                self._fuse(rewriter, context, op)

    def _fuse(self, rewriter: Rewriter, context: Context, add: Add) -> None:
        reason = _why_not(add)
        reasons = [reason] if reason else [_why_not_into(side, rewriter) for side in (add.left, add.right)]
        able = [
            side.producer
            for side, problem in zip((add.left, add.right), reasons, strict=False)
            if not problem and isinstance(side.producer, Conv2d)
        ]
        if reason or not able:
            context.missed(self.name, f"not fused {called(add)}: {'; '.join(reasons)}", add)
            return
        conv = max(able, key=rewriter.position)
        residual = add.right if conv.result is add.left else add.left
        operands = {definition.name: conv.operand_group(definition.name) for definition in conv.operand_defs}
        fused = rewriter.replace(add, Conv2d, {**operands, "residual": residual}, conv.attributes, conv.location)
        rewriter.erase(conv)
        context.applied(self.name, f"fused {called(add)} into {called(fused)}", add)


def _why_not(add: Add) -> str:
    if add.type.quantization is not None:
        return "the sum of quantized tensors rounds twice"
    if add.activation != "none":
        return f"it applies {add.activation} to the sum"
    if add.left.type.shape != add.right.type.shape:
        return f"it broadcasts {add.left.type} and {add.right.type}"
    return ""


def _why_not_into(side: Value, rewriter: Rewriter) -> str:
    """Why the convolution that gives `side`, if one does, cannot take the other side; empty where it can."""
    conv = side.producer
    if not isinstance(conv, Conv2d):
        return f"`{conv.opcode}` is no convolution" if conv is not None else "an input is no convolution"
    if conv.residual is not None:
        return f"{called(conv)} has a residual already"
    readers = other_readers(side, rewriter)
    return f"the result of {called(conv)} must stay: {readers}" if readers else ""
