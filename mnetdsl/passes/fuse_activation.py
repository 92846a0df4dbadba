"""Unary functions into the epilogue of the operation before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.unary import UnaryOp
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.base import Pass
from mnetdsl.passes.clamps import NAMED
from mnetdsl.passes.context import Context, called
from mnetdsl.passes.layers import other_readers, residual_of

WITH_EPILOGUE = (Conv2d, DepthwiseConv2d, Dense, Elementwise)


@dataclass(frozen=True)
class FuseActivation(Pass):
    """f(op(x)) = op_f(x): an operation applies f to each result element before it is stored.

    A convolution adds its residual *behind* its activation, so f(conv(x) + r) is not conv_f(x) + r and stays.

    Before: any module. After: every unary function that alone reads the result of a convolution, dense layer, `add`
    or `mul` without activation and residual is that operation's `activation`. The operation keeps its layer name.
    """

    name: ClassVar[str] = "fuse-activation"
    clamps_only: bool = False
    """Only relu and relu6: a quantized layer stores its result between two bounds, and knows no other function."""

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        for op in rewriter.operations():
            if isinstance(op, UnaryOp) and op.opcode in (NAMED if self.clamps_only else UNARY_FUNCTIONS):
                self._fuse(rewriter, context, op)

    def _fuse(self, rewriter: Rewriter, context: Context, unary: UnaryOp) -> None:
        before = unary.input.producer
        reason = _why_not(before, rewriter)
        if reason or not isinstance(before, WITH_EPILOGUE):
            context.missed(self.name, f"not fused {called(unary)}: {reason}", unary)
            return
        fused = rewriter.update(before, attributes={"activation": unary.opcode})
        rewriter.replace_with_value(unary, fused.result)
        context.applied(self.name, f"fused {unary.opcode} into {called(fused)}", unary)


def _why_not(before: Op | None, rewriter: Rewriter) -> str:
    if not isinstance(before, WITH_EPILOGUE):
        return f"`{before.opcode}` has no epilogue" if before is not None else "it reads an input"
    if before.type.quantization is not None:
        return f"{called(before)} is quantized, with a scale of its own"
    if before.activation != "none":
        return f"{called(before)} applies {before.activation} already"
    if residual_of(before) is not None:
        return f"{called(before)} adds a residual last"
    readers = other_readers(before.result, rewriter)
    return f"the result of {called(before)} must stay: {readers}" if readers else ""
