"""Squeeze and excite in four operations: mean, two layers with their functions, product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.ops.pool import AvgPool, GlobalAvgPool
from mnetdsl.ir.ops.shape import Reshape
from mnetdsl.ir.ops.unary import UnaryOp
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, called
from mnetdsl.passes.layers import other_readers


@dataclass(frozen=True)
class FuseSqueezeExcite(Pass):
    """f(reshape(x)) = reshape(f(x)) for functions of elements, and an average over the whole map is its mean.

    Gates x * f(expand(act(reduce(mean(x))))) are written in several ways (Hu et al. 2018, figure 2): the mean as a
    pool of the map's size, the function behind a reshape. Both hide it from the passes and kernels that know it:
    `fuse-activation` puts f into the layer in front of the reshape, which then is another view of the same numbers, and
    the mean adds row by row, which is faster and more exact than a window of that size.

    Before: any module; in front of `fuse-activation`. After: no unary function reads the result of a reshape that
    nobody else reads, and no `avg_pool` covers its whole map. Quantized operations stay: window and mean round
    differently there. The other two forms of the layers, convolutions on one pixel and dense layers, stay too: both
    take the same time on every backend.
    """

    name: ClassVar[str] = "fuse-squeeze-excite"

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        for op in rewriter.operations():
            if op.type.quantization is None:
                self._mean(rewriter, context, op)
                self._function(rewriter, context, op)

    def _mean(self, rewriter: Rewriter, context: Context, op: Op) -> None:
        if not isinstance(op, AvgPool) or any(op.padding) or op.kernel != op.input.type.shape[1:3]:
            return
        mean = rewriter.insert_before(op, GlobalAvgPool, {"input": op.input}, location=op.location)
        place = op.location.named(f"{op.name}.view")
        view = rewriter.replace(op, Reshape, {"input": mean.result}, {"shape": op.type.shape[1:]}, place)
        context.applied(self.name, f"wrote {called(op)} as the mean of its map", view)

    def _function(self, rewriter: Rewriter, context: Context, op: Op) -> None:
        if (
            not isinstance(op, UnaryOp)
            or op.opcode not in UNARY_FUNCTIONS
            or not isinstance(op.input.producer, Reshape)
        ):
            return
        view = op.input.producer
        readers = other_readers(view.result, rewriter)
        if readers:
            context.missed(self.name, f"{called(op)} stays behind {called(view)}: {readers}", op)
            return
        inner = rewriter.insert_before(view, OPERATIONS[op.opcode], {"input": view.input}, location=op.location)
        place = op.location.named(f"{op.name}.view")
        moved = rewriter.replace(op, Reshape, {"input": inner.result}, {"shape": view.shape}, place)
        rewriter.erase(view)
        context.applied(self.name, f"put {called(op)} in front of {called(view)}", moved)
