"""Batch normalization into the layer before or behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.batch_norm import BatchNorm
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.shape import Pad
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, called
from mnetdsl.passes.derive import DerivedConstants, constant_of, derivation_from
from mnetdsl.passes.layers import CHANNEL_AXES, Layer, other_readers, residual_of, result_channels, window_padding


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """Makes batch normalization part of the weights.

    With a = scale / sqrt(variance + epsilon), norm(x) = a x + (offset - mean a). Therefore

        norm(x * w + b)    = x * (w a) + ((b - mean) a + offset)                 a per output channel
        norm(x) * w + b    = x * (w a) + (b + sum of w (offset - mean a))         a per input channel

    where the second line holds only if every tap of the window reads norm(x): not where the layer pads, for its
    border is 0 and not norm(0). The first line also holds through a zero pad between a bias-free pointwise layer
    and the norm: the pad moves in front of the layer, whose border is then 0 * w + offset - mean a = norm(0).

    Before: any module. After: a layer without activation and residual whose only reader was a norm has absorbed it,
    as has an unpadded layer that alone reads a norm. Weights shared with another layer are not touched: the folded
    ones are new arrays. A norm that stays has a remark, and `lower-batch-norm` for what remains.
    """

    name: ClassVar[str] = "fold-batch-norm"

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        derived = DerivedConstants(module, rewriter)
        for op in rewriter.operations():
            if isinstance(op, BatchNorm):
                self._fold(derived, rewriter, context, op)

    def _fold(self, derived: DerivedConstants, rewriter: Rewriter, context: Context, norm: BatchNorm) -> None:
        statistics = _statistics(norm)
        if statistics is None:
            context.missed(self.name, f"not folded {called(norm)}: its statistics are computed", norm)
            return
        if isinstance(norm.input.producer, Pad):
            _move_pad(rewriter, norm.input.producer)
        before, behind = norm.input.producer, norm.result.users[0] if norm.result.users else None
        why_not_before = _absorbing_before(before, rewriter)
        why_not_behind = _absorbing_behind(behind, norm, rewriter) if why_not_before else ""
        if not why_not_before and isinstance(before, Layer):
            target: Op = _into_producer(derived, rewriter, norm, before, statistics)
        elif not why_not_behind and isinstance(behind, Layer):
            target = _into_consumer(derived, rewriter, norm, behind, statistics)
        else:
            reason = f"{why_not_before}; {why_not_behind}" if why_not_behind else why_not_before
            context.missed(self.name, f"not folded {called(norm)}: {reason}", norm)
            return
        rewriter.erase_unread(*statistics)
        context.applied(self.name, f"folded {called(norm)} into {called(target)}", norm)


def _statistics(norm: BatchNorm) -> list[Constant] | None:
    """scale, variance, mean, offset; None unless all are constants."""
    values = (norm.scale, norm.variance, norm.mean, norm.offset)
    constants = [constant for constant in map(constant_of, values) if constant is not None]
    return constants if len(constants) == len(values) else None


def _absorbing_before(layer: Op | None, rewriter: Rewriter) -> str:
    """Why `layer` cannot absorb the norm of its result; empty where it can."""
    if not isinstance(layer, Layer):
        return f"`{layer.opcode}` in front has no weights" if layer is not None else "an input of the model in front"
    if layer.activation != "none":
        return f"{called(layer)} applies {layer.activation} first"
    if residual_of(layer) is not None:
        return f"{called(layer)} adds a residual first"
    readers = other_readers(layer.result, rewriter)
    if readers:
        return f"the result of {called(layer)} must stay: {readers}"
    return _computed_weights(layer)


def _absorbing_behind(layer: Op | None, norm: BatchNorm, rewriter: Rewriter) -> str:
    """Why the reader `layer` cannot absorb the norm of its input; empty where it can."""
    readers = other_readers(norm.result, rewriter)
    if readers or layer is None:
        return f"behind, {readers or 'nothing reads it'}"
    if not isinstance(layer, Layer) or layer.input is not norm.result:
        return f"`{layer.opcode}` behind has no weights for it"
    if any(window_padding(layer)):
        return f"{called(layer)} behind pads with zeros, which the norm would shift"
    return _computed_weights(layer)


def _computed_weights(layer: Layer) -> str:
    if constant_of(layer.filter) is None or (layer.bias is not None and constant_of(layer.bias) is None):
        return f"the weights of {called(layer)} are computed"
    return ""


def _move_pad(rewriter: Rewriter, pad: Pad) -> None:
    """norm(pad(layer(x))) to norm(layer(pad(x))) where the layer is pointwise and maps 0 to 0."""
    layer = pad.input.producer
    if not isinstance(layer, Conv2d | DepthwiseConv2d) or layer.bias is not None or layer.activation != "none":
        return
    pointwise = layer.filter.type.shape[:2] == (1, 1) and layer.strides == (1, 1) and not any(layer.padding)
    alone = rewriter.single_use(layer.result) and rewriter.single_use(pad.result)
    if not (pointwise and alone and pad.value == 0.0 and residual_of(layer) is None):
        return
    moved = rewriter.insert_before(layer, Pad, {"input": layer.input}, pad.attributes, pad.location)
    rewriter.replace(
        pad, type(layer), {"input": moved.result, "filter": layer.filter}, layer.attributes, layer.location
    )
    rewriter.erase(layer)


def _into_producer(
    derived: DerivedConstants, rewriter: Rewriter, norm: BatchNorm, layer: Layer, statistics: list[Constant]
) -> Layer:
    scale, variance, mean, offset = statistics
    filter, bias = constant_of(layer.filter), constant_of(layer.bias)
    assert filter is not None
    attributes = {"epsilon": norm.epsilon, "channel_axes": CHANNEL_AXES[layer.opcode]}
    scaled = derivation_from("scale_outputs", [filter, scale, variance], attributes)
    sources = [scale, variance, mean, offset, *([bias] if bias is not None else [])]
    shift = derivation_from("offset_outputs", sources, {"epsilon": norm.epsilon})
    operands = {
        "filter": derived.add(layer, _key(layer, "weight"), filter.type.shape, scaled),
        "bias": derived.add(layer, _key(layer, "bias"), (result_channels(layer),), shift),
    }
    folded = _with_weights(rewriter, layer, operands)
    rewriter.replace_with_value(norm, folded.result)
    return folded


def _into_consumer(
    derived: DerivedConstants, rewriter: Rewriter, norm: BatchNorm, layer: Layer, statistics: list[Constant]
) -> Layer:
    scale, variance, mean, offset = statistics
    filter, bias = constant_of(layer.filter), constant_of(layer.bias)
    assert filter is not None
    attributes = {"epsilon": norm.epsilon, "channel_axes": CHANNEL_AXES[layer.opcode]}
    scaled = derivation_from("scale_inputs", [filter, scale, variance], {"epsilon": norm.epsilon})
    sources = [filter, scale, variance, mean, offset, *([bias] if bias is not None else [])]
    shift = derivation_from("offset_inputs", sources, attributes)
    operands = {
        "input": norm.input,
        "filter": derived.add(layer, _key(layer, "weight"), filter.type.shape, scaled),
        "bias": derived.add(layer, _key(layer, "bias"), (result_channels(layer),), shift),
    }
    folded = _with_weights(rewriter, layer, operands)
    rewriter.erase(norm)
    return folded


def _with_weights(rewriter: Rewriter, layer: Layer, operands: dict[str, Value]) -> Layer:
    old = [constant for constant in (constant_of(layer.filter), constant_of(layer.bias)) if constant is not None]
    folded = rewriter.update(layer, operands)
    rewriter.erase_unread(*old)
    return folded


def _key(layer: Layer, part: str) -> str:
    constant = constant_of(layer.filter)
    owner = layer.name or (constant.resource.removesuffix(".weight") if constant is not None else layer.opcode)
    return f"{owner}.{part}.folded"
