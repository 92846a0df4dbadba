"""Explicit zero padding into the padding of a convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.shape import Pad
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, called

WHY_NOT_POOLS = {
    "avg_pool": "does not count its own padding, but counts the zeros of a pad",
    "max_pool": "never returns its own padding, but may return the zeros of a pad",
}


@dataclass(frozen=True)
class FoldPad(Pass):
    """Lets a convolution read beyond the map in place of a border that is stored.

    A convolution's padding is a border of zeros, hence conv_p(pad_q(x)) = conv_{p + q}(x) for a pad of zeros. Pools
    differ: padding is no part of their windows, the zeros of a pad are.

    Before: any module. After: no convolution reads a zero pad, unless a window would then lie wholly in the
    padding. Other readers of the pad keep it.
    """

    name: ClassVar[str] = "fold-pad"

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        for op in rewriter.operations():
            if isinstance(op, Pad):
                for user in dict.fromkeys(op.result.users):
                    self._fold(rewriter, context, op, user)
                rewriter.erase_unread(op)

    def _fold(self, rewriter: Rewriter, context: Context, pad: Pad, user: Op) -> None:
        reason = _why_not(pad, user)
        if reason:
            context.missed(self.name, f"not folded {called(pad)} into {called(user)}: {reason}", pad)
            return
        assert isinstance(user, Conv2d | DepthwiseConv2d)
        rewriter.update(user, {"input": pad.input}, {"padding": _joined(pad, user)})
        context.applied(self.name, f"folded {called(pad)} into {called(user)}", pad)


def _why_not(pad: Pad, user: Op) -> str:
    if not isinstance(user, Conv2d | DepthwiseConv2d):
        return f"`{user.opcode}` {WHY_NOT_POOLS.get(user.opcode, 'has no padding')}"
    if user.input is not pad.result or user.operands.count(pad.result) > 1:
        return "it is not its input alone"
    if pad.type.storage != pad.input.type.storage:
        return "it changes the scale"
    if pad.value != 0.0:
        return f"the border is {pad.value}, a convolution's is 0"
    height, width = (
        dilation * (size - 1) + 1 for dilation, size in zip(user.dilations, user.filter.type.shape[:2], strict=True)
    )
    top, bottom, left, right = _joined(pad, user)
    if max(top, bottom) >= height or max(left, right) >= width:
        return f"a window of {height}x{width} would lie wholly in the padding"
    return ""


def _joined(pad: Pad, user: Conv2d | DepthwiseConv2d) -> tuple[int, ...]:
    return tuple(outer + inner for outer, inner in zip(pad.padding, user.padding, strict=True))
