"""Channels that hold one number for every input into the biases behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mnetdsl.ir.clone import clone_op
from mnetdsl.ir.core import Graph, Module, Op, Port, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.derivation import Derivation
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.shape import Reshape
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.ir.types import ElementType, Shape
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, Remark, called
from mnetdsl.passes.derive import DerivedConstants, constant_of, derivation_from, materialize
from mnetdsl.passes.layers import Layer, window_padding

if TYPE_CHECKING:
    from mnetdsl.numerics.intervals import Interval
    from mnetdsl.passes.channel_needs import Needs

Replaced = dict[Op, dict[str, Value]]
Indices = tuple[int, ...]


@dataclass(frozen=True)
class FoldConstantChannels(Pass):
    """Drops channels of int8 layers that hold one number for every input, or that nobody reads.

    Intervals go through the graph, sound for every input: sums from weights and input intervals, through the monotone
    requantization. A channel c of one value v adds (v - zero point) * sum of w to each sum behind it:

        sum over c of w (q - z)  =  sum over the others of w (q - z)  +  sum over constant c of w (v - z)

    and the second part is a bias. Beside padding, where no tap reads c, that holds for v = z alone; such a channel of
    another value stays. What nobody reads then goes, with the filters that made it, from the outputs back.

    Before: any module; without loaded weights nothing is known and nothing is done. After: the same numbers in every
    channel that is left, and in every output. Layers have fewer channels, so shapes differ from those of the source.

    multiple: layers keep channels up to a multiple of it, which kernels that take several at a time ask for.
    """

    multiple: int = 1

    name: ClassVar[str] = "fold-constant-channels"
    needs_weights: ClassVar[bool] = True

    def run(self, module: Module, context: Context) -> None:
        if not module.quantized:
            return
        materialize(module)
        missing = _missing(module)
        if missing:
            why = f"`{missing}` is not loaded, and only weights tell which channels are constant"
            context.remarks.append(Remark(self.name, False, f"nothing folded: {why}"))
            return
        from mnetdsl.passes.channel_intervals import channel_intervals
        from mnetdsl.passes.channel_needs import Needs

        found = channel_intervals(module)
        needs = Needs(module, found, self.multiple)
        before = _cost(module)
        replaced = _weights(module, needs, found)
        self._tell(module, context, needs, found)
        module.graph = _rebuilt(module.graph, needs, replaced)
        after = _cost(module)
        for name in set(module.resources) - module.required().keys() - module.derived.keys():
            del module.resources[name]
        told = f"{before[0]:,} MACs before, {after[0]:,} after; {before[1]:,} filter bytes before, {after[1]:,} after"
        context.remarks.append(Remark(self.name, before != after, told))

    def _tell(self, module: Module, context: Context, needs: Needs, found: Mapping[Value, Interval]) -> None:
        for op in module.graph.operations:
            if not isinstance(op, Layer) or op.result not in found:
                continue
            kept, constant = needs.kept(op.result), found[op.result].constant
            count, gone = len(kept), int((~kept).sum())
            if isinstance(op, Conv2d | Dense):
                folded = int((~needs.kept(op.input) & found[op.input].constant).sum()) if op.input in found else 0
                if folded:
                    text = f"folded {folded} constant channels of its input into the bias of {called(op)}"
                    context.applied(self.name, text, op)
            if gone:
                single = int((~kept & constant).sum())
                text = f"dropped {gone} of {count} channels of {called(op)}: {single} constant, {gone - single} unread"
                context.applied(self.name, text, op)
            stayed = int((kept & constant).sum())
            if stayed:
                text = f"kept {stayed} constant channels of {called(op)}: {_reader(op.result, self.multiple)}"
                context.missed(self.name, text, op)


def _missing(module: Module) -> str | None:
    names = (str(op.attributes["resource"]) for op in module.graph.constants())
    return next((name for name in names if name not in module.resources), None)


def _cost(module: Module) -> tuple[int, int]:
    """Multiply-accumulates, and bytes of filters."""
    layers = [op for op in module.graph.operations if isinstance(op, Layer)]
    filters = {constant_of(op.filter): op.filter.type.byte_size for op in layers}
    macs = sum(op.type.elements // op.type.shape[-1] * op.filter.type.elements for op in layers)
    return macs, sum(filters.values())


def _reader(value: Value, multiple: int) -> str:
    """Why a constant channel is read as any other."""
    for user in dict.fromkeys(value.users):
        if isinstance(user, Conv2d | DepthwiseConv2d) and any(window_padding(user)):
            return f"{called(user)} reads them beside its padding, which holds the zero point"
    for user in dict.fromkeys(value.users):
        if not isinstance(user, Layer):
            return f"{called(user)} reads them"
    if multiple > 1:
        return f"channels go by {multiple}"
    return "a tensor has one channel at least" if value.users else "it is an output"


def _weights(module: Module, needs: Needs, found: Mapping[Value, Interval]) -> Replaced:
    """New constants of each layer that loses channels, in front of it."""
    from mnetdsl.passes.channel_needs import foldable_layer

    rewriter = Rewriter(module.graph)
    derived = DerivedConstants(module, rewriter)
    replaced: Replaced = {}
    for op in rewriter.operations():
        if not isinstance(op, Layer) or not foldable_layer(op, found):
            continue
        outputs = _kept(needs, op.result)
        inputs = _kept(needs, op.input)
        if len(outputs) < op.type.shape[-1] or len(inputs) < op.input.type.shape[-1]:
            replaced[op] = _layer_weights(module, derived, op, inputs, outputs, found[op.input])
    return replaced


def _kept(needs: Needs, value: Value) -> Indices:
    return tuple(int(channel) for channel in needs.kept(value).nonzero()[0])


def _layer_weights(
    module: Module, derived: DerivedConstants, op: Layer, inputs: Indices, outputs: Indices, source: Interval
) -> dict[str, Value]:
    filter, bias, scale = constant_of(op.filter), constant_of(op.bias), constant_of(op.filter_scale)
    assert filter is not None
    assert scale is not None
    assert op.input.type.quantization is not None
    rows, columns = (inputs, (0,)) if isinstance(op, DepthwiseConv2d) else (inputs, outputs)

    def add(part: str, shape: Shape, derivation: Derivation, element: ElementType) -> Value:
        return derived.add(op, f"{op.name or filter.resource}.{part}.live", shape, derivation, element)

    taken: dict[str, AttributeValue] = {"inputs": rows, "outputs": columns}
    shape = (*filter.type.shape[:-2], len(rows), len(columns))
    replaced = {"filter": add("weight", shape, derivation_from("take_filter", [filter], taken), filter.type.element)}
    left: dict[str, AttributeValue] = {"outputs": outputs}
    if scale.type.elements > 1:
        derivation = derivation_from("take_channels", [scale], left)
        replaced["filter_scale"] = add("weight_scale", (len(outputs),), derivation, scale.type.element)
    dropped = () if isinstance(op, DepthwiseConv2d) else _dropped(inputs, source)
    if dropped:
        zero_point = op.input.type.quantization.zero_point[0]
        weights = constant_of(op.filter_zero_point)
        left |= {
            "inputs": dropped,
            "values": tuple(int(source.low[channel]) - zero_point for channel in dropped),
            "zero_point": 0 if weights is None else int(module.resources[weights.resource].reshape(-1)[0]),
        }
        derivation = derivation_from("fold_channels", [filter, *([bias] if bias is not None else [])], left)
        element = ElementType.I32 if bias is None else bias.type.element
        replaced["bias"] = add("bias", (len(outputs),), derivation, element)
    elif bias is not None:
        derivation = derivation_from("take_channels", [bias], left)
        replaced["bias"] = add("bias", (len(outputs),), derivation, bias.type.element)
    return replaced


def _dropped(inputs: Indices, source: Interval) -> Indices:
    """Constant channels that are gone. Others that are gone have weights of zero only."""
    constant = source.constant
    return tuple(channel for channel in range(len(constant)) if constant[channel] and channel not in set(inputs))


def _rebuilt(graph: Graph, needs: Needs, replaced: Replaced) -> Graph:
    """`graph` with fewer channels. Constants that are read no more are left out."""
    values: dict[Value, Value] = {}
    result = Graph()
    for port in graph.inputs:
        values[port.value] = Value(port.value.type)
        result.inputs.append(Port(port.name, values[port.value], dict(port.attributes), port.location))
    new = {value for parts in replaced.values() for value in parts.values()}
    for op in graph.operations:
        if op.opcode == "constant" and op.result not in new and not _still_read(op, replaced):
            continue
        copy = _copied(op, values, needs, replaced.get(op, {}))
        values[op.result] = copy.result
        result.operations.append(copy)
    for port in graph.outputs:
        result.outputs.append(Port(port.name, values[port.value], dict(port.attributes), port.location))
    return result


def _still_read(constant: Op, replaced: Replaced) -> bool:
    """Whether an operand that is not replaced reads `constant`; what nobody read to begin with stays."""
    value = constant.result
    return not value.users or any(
        value in user.operand_group(definition.name)
        for user in value.users
        for definition in user.operand_defs
        if definition.name not in replaced.get(user, {})
    )


def _copied(op: Op, values: dict[Value, Value], needs: Needs, parts: dict[str, Value]) -> Op:
    if isinstance(op, Reshape):
        shape = (*op.shape[:-1], len(_kept(needs, op.result)))
        return Reshape({"input": values[op.input]}, {"shape": shape}, op.location, op.storage)
    if not parts:
        return clone_op(op, values)
    operands = {
        definition.name: [values[value] for value in op.operand_group(definition.name)]
        for definition in op.operand_defs
        if definition.name not in parts
    }
    return type(op)(
        operands | {name: [values[value]] for name, value in parts.items()}, op.attributes, op.location, op.storage
    )
