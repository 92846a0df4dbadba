"""Batch normalization that no layer could absorb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module
from mnetdsl.ir.ops.batch_norm import BatchNorm
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Add, Mul
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.ir.types import Shape
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, called
from mnetdsl.passes.derive import DerivedConstants, constant_of, derivation_from


@dataclass(frozen=True)
class LowerBatchNorm(Pass):
    """Turns what is left of batch normalization into operations that every backend has.

    norm(x) = a x + (offset - mean a) with a = scale / sqrt(variance + epsilon): on a map [N, H, W, C] a depthwise
    1x1 convolution with filter a and bias offset - mean a, elsewhere `mul` and `add` with constants [1, …, C].

    Before: best behind `fold-batch-norm`, which costs nothing at run time. After: no `batch_norm` whose statistics
    are constants.
    """

    name: ClassVar[str] = "lower-batch-norm"

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        derived = DerivedConstants(module, rewriter)
        for op in rewriter.operations():
            if isinstance(op, BatchNorm):
                self._lower(derived, rewriter, context, op)

    def _lower(self, derived: DerivedConstants, rewriter: Rewriter, context: Context, norm: BatchNorm) -> None:
        sources = [constant_of(value) for value in (norm.scale, norm.variance, norm.mean, norm.offset)]
        constants = [constant for constant in sources if constant is not None]
        if len(constants) != len(sources):
            context.missed(self.name, f"not lowered {called(norm)}: its statistics are computed", norm)
            return
        channels = norm.type.shape[-1]
        on_map = norm.type.rank == 4
        per_channel: Shape = (1,) * (norm.type.rank - 1) + (channels,)
        shapes = ((1, 1, channels, 1), (channels,)) if on_map else (per_channel, per_channel)
        name = norm.name or constants[0].resource
        scale, offset = (
            derived.add(
                norm,
                f"{name}.{part}.folded",
                shape,
                derivation_from(function, read, {"epsilon": norm.epsilon, "shape": shape}),
            )
            for part, function, read, shape in (
                ("weight", "norm_scale", constants[:2], shapes[0]),
                ("bias", "norm_offset", constants, shapes[1]),
            )
        )
        if on_map:
            rewriter.replace(norm, DepthwiseConv2d, {"input": norm.input, "filter": scale, "bias": offset})
        else:
            # The name belongs to one operation with weights: the product gets one of its own.
            location = norm.location.named(f"{norm.name}.scaled" if norm.name else "")
            scaled = rewriter.insert_before(norm, Mul, {"left": norm.input, "right": scale}, location=location)
            rewriter.replace(norm, Add, {"left": scaled.result, "right": offset})
        rewriter.erase_unread(*constants)
        context.applied(self.name, f"lowered {called(norm)} to {'depthwise 1x1' if on_map else 'mul and add'}", norm)
