"""Finds the blocks of MobileNets in a chain of layers: depthwise separable, inverted residual, squeeze-and-excite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from mnetdsl.importers.tflite.graph import ImportGraph, Layer
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.ops.window import same_padding

Padding = str | tuple[int, ...]
ONE = (1, 1)
NO_PADDING = (0, 0, 0, 0)


@dataclass(frozen=True)
class Unit:
    """A layer with weights and the function behind it, which may be a layer of its own."""

    layer: Layer
    act: str
    output: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Squeeze:
    """Squeeze-and-excite: `pool` and `gate` are what blocks of one shape have in common."""

    pool: str
    reduce: Unit
    expand: Unit
    gates: tuple[Layer, ...]
    scale: Layer
    layers: tuple[Layer, ...]

    @property
    def shape(self) -> tuple[object, ...]:
        steps = tuple((gate.operation, gate.activation, _constants(gate)) for gate in self.gates)
        return self.pool, self.reduce.act, self.expand.act, steps, self.scale.activation


@dataclass(frozen=True)
class Block:
    """A recognized block. `parts` are its layers in the order of its text; what is absent is None."""

    kind: str
    input: int
    output: int
    expand: Unit | None
    depthwise: Unit
    squeeze: Squeeze | None
    project: Unit
    add: Layer | None
    channels_in: int
    padding: Padding

    @property
    def layers(self) -> tuple[Layer, ...]:
        expand = () if self.expand is None else self.expand.layers
        squeeze = () if self.squeeze is None else self.squeeze.layers
        add = () if self.add is None else (self.add,)
        return (*expand, *self.depthwise.layers, *squeeze, *self.project.layers, *add)

    @property
    def channels(self) -> int:
        return number(self.project.layer, "channels")

    @property
    def expanded(self) -> int:
        return self.channels_in if self.expand is None else number(self.expand.layer, "channels")

    @property
    def stride(self) -> tuple[int, int]:
        return pair(self.depthwise.layer, "stride")


def _constants(layer: Layer) -> tuple[object, ...]:
    return tuple((place, c.array.shape, c.real().tobytes()) for place, c in sorted(layer.constants.items()))


def number(layer: Layer, name: str) -> int:
    found = layer.arguments[name]
    assert isinstance(found, int)
    return found


def pair(layer: Layer, name: str) -> tuple[int, int]:
    found = layer.arguments[name]
    assert isinstance(found, tuple)
    return int(found[0]), int(found[1])


def padding_of(layer: Layer, shape: tuple[int, ...]) -> Padding:
    """`same` or `valid` where that is what the layer does on its input `shape`, else the four numbers."""
    found = layer.arguments["padding"]
    assert isinstance(found, tuple)
    kernel, stride = pair(layer, "kernel"), pair(layer, "stride")
    dilation = pair(layer, "dilation") if "dilation" in layer.arguments else ONE
    same = (
        *same_padding(shape[1], kernel[0], stride[0], dilation[0]),
        *same_padding(shape[2], kernel[1], stride[1], dilation[1]),
    )
    if found == same:
        return "same"
    return "valid" if found == NO_PADDING else tuple(int(item) for item in found)


def find_blocks(graph: ImportGraph) -> list[Block | Layer]:
    """All layers in order, those of a block as one; a block stands where its first layer stood."""
    finder = _Finder(graph)
    taken: set[int] = set()
    found: list[Block | Layer] = []
    for layer in graph.layers:
        if id(layer) in taken:
            continue
        block = finder.block(layer)
        if block is None or any(id(part) in taken for part in block.layers):
            found.append(layer)
            continue
        taken.update(id(part) for part in block.layers)
        found.append(block)
    return list(_in_order(found, graph))


def reads(item: Block | Layer) -> tuple[int, ...]:
    return item.inputs if isinstance(item, Layer) else (item.input,)


def _in_order(items: list[Block | Layer], graph: ImportGraph) -> Iterator[Block | Layer]:
    """Each item behind what it reads, otherwise as in the file."""
    ready = {port.value for port in graph.inputs}
    waiting = items
    while waiting:
        for position, item in enumerate(waiting):
            if all(value in ready for value in reads(item)):
                ready.add(item.output)
                yield item
                waiting = waiting[:position] + waiting[position + 1 :]
                break
        else:
            raise AssertionError("the layers of an import graph stand behind what they read")


class _Finder:
    def __init__(self, graph: ImportGraph) -> None:
        self.graph = graph
        self.readers = graph.readers()
        self.outputs = {output.value for output in graph.outputs}

    def block(self, first: Layer) -> Block | None:
        source = first.inputs[0] if len(first.inputs) == 1 else None
        if source is None or len(self.graph.values[source].shape) != 4:
            return None
        expand = self._pointwise(first)
        depthwise = self._unit(first if expand is None else self._only(expand.output, "depthwise_conv2d"))
        if depthwise is None or depthwise.layer.operation != "depthwise_conv2d" or depthwise.layer.bias is None:
            return None
        squeeze = self._squeeze(depthwise.output)
        gated = depthwise.output if squeeze is None else squeeze.scale.output
        project = self._pointwise(self._only(gated, "conv2d"))
        if project is None:
            return None
        kind = "inverted_residual"
        if expand is None and squeeze is None and project.act != "none":
            kind = "separable"
        elif project.act != "none":
            return None
        if expand is not None and expand.act != depthwise.act:
            return None
        add = self._only(project.output, "add") if kind == "inverted_residual" else None
        if add is not None and (add.activation != "none" or add.constants or source not in add.inputs):
            add = None
        return Block(
            kind,
            source,
            project.output if add is None else add.output,
            expand,
            depthwise,
            squeeze,
            project,
            add,
            self.graph.values[source].shape[3],
            padding_of(depthwise.layer, self.graph.values[depthwise.layer.inputs[0]].shape),
        )

    def _only(self, value: int, operation: str) -> Layer | None:
        """The layer of that kind which alone reads `value`."""
        users = self.readers[value]
        if len(users) != 1 or value in self.outputs or value in self.graph.requantized:
            return None
        layer = self.graph.layers[users[0]]
        return layer if layer.operation == operation else None

    def _unit(self, layer: Layer | None) -> Unit | None:
        if layer is None or not layer.weighted:
            return None
        if layer.activation == "none" and layer.output not in self.outputs and len(self.readers[layer.output]) == 1:
            behind = self.graph.layers[self.readers[layer.output][0]]
            if behind.operation in UNARY_FUNCTIONS and layer.output not in self.graph.requantized:
                return Unit(layer, behind.operation, behind.output, (layer, behind))
        return Unit(layer, layer.activation, layer.output, (layer,))

    def _pointwise(self, layer: Layer | None) -> Unit | None:
        if layer is None or layer.operation != "conv2d" or layer.bias is None:
            return None
        plain = (
            pair(layer, "kernel") == ONE and pair(layer, "stride") == ONE and layer.arguments["padding"] == NO_PADDING
        )
        return self._unit(layer) if plain else None

    def _squeeze(self, value: int) -> Squeeze | None:
        """Squeeze-and-excite on `value`, which its mean and its product with the gates read."""
        users = [self.graph.layers[position] for position in self.readers[value]]
        if len(users) != 2 or value in self.outputs:
            return None
        pool, scale = sorted(users, key=lambda layer: layer.operation == "mul")
        if scale.operation != "mul" or scale.constants:
            return None
        head = self._mean(pool)
        if head is None:
            return None
        reduce = self._pointwise(self._only(head[-1].output, "conv2d"))
        expand = None if reduce is None else self._pointwise(self._only(reduce.output, "conv2d"))
        if reduce is None or expand is None:
            return None
        gates: list[Layer] = []
        gate = expand.output
        while gate not in scale.inputs:
            users = [self.graph.layers[position] for position in self.readers[gate]]
            if len(users) != 1 or len(users[0].constants) != 1 or gate in self.outputs:
                return None
            gates.append(users[0])
            gate = users[0].output
        if sorted(scale.inputs) != sorted((value, gate)):
            return None
        name = pool.operation
        layers = (*head, *reduce.layers, *expand.layers, *gates, scale)
        return Squeeze(name, reduce, expand, tuple(gates), scale, layers)

    def _mean(self, pool: Layer) -> tuple[Layer, ...] | None:
        """The layers that make a map of one pixel: its mean."""
        if pool.operation == "avg_pool" and self.graph.values[pool.output].shape[1:3] == ONE:
            size = self.graph.values[pool.inputs[0]].shape[1:3]
            return (pool,) if pool.arguments["kernel"] == size else None
        if pool.operation == "global_avg_pool":
            shaped = self._only(pool.output, "reshape")
            if shaped is not None and self.graph.values[shaped.output].shape[1:3] == ONE:
                return pool, shaped
        return None


@dataclass(frozen=True)
class Definition:
    """A block of the written file, and what all calls of it have in common."""

    kind: str
    instances: tuple[Block, ...]

    @property
    def squeeze(self) -> Squeeze | None:
        return next((block.squeeze for block in self.instances if block.squeeze is not None), None)


def definitions(blocks: list[Block]) -> list[Definition]:
    """Blocks grouped into as few definitions as can describe them."""
    found: list[Definition] = []
    for block in blocks:
        for place, definition in enumerate(found):
            if _fits(definition, block):
                found[place] = replace(definition, instances=(*definition.instances, block))
                break
        else:
            found.append(Definition(block.kind, (block,)))
    return found


def _fits(definition: Definition, block: Block) -> bool:
    first = definition.instances[0]
    if definition.kind != block.kind or (block.kind == "separable" and not _same_acts(first, block)):
        return False
    squeeze = definition.squeeze
    return squeeze is None or block.squeeze is None or squeeze.shape == block.squeeze.shape


def _same_acts(first: Block, block: Block) -> bool:
    """Separable blocks have one activation for both layers, or the same two."""
    one = [each.depthwise.act == each.project.act for each in (first, block)]
    return all(one) or (first.depthwise.act, first.project.act) == (block.depthwise.act, block.project.act)


def follows_rule(definition: Definition, graph: ImportGraph) -> bool:
    """Whether a sum stands wherever shapes and stride allow one, as the papers have it."""
    square = all(isinstance(plain(block.stride), int) for block in definition.instances)
    return square and all((block.add is not None) == may_add(block, graph) for block in definition.instances)


def may_add(block: Block, graph: ImportGraph) -> bool:
    same = graph.values[block.input].shape == graph.values[block.project.output].shape
    return block.stride == ONE and same


def needs_expand(block: Block) -> bool:
    return block.expanded != block.channels_in


def settings(block: Block) -> Mapping[str, object]:
    """The arguments of a call of the block, all of them."""
    layer = block.depthwise.layer
    squeeze = block.squeeze
    return {
        "channels": block.channels,
        "expanded": block.expanded,
        "kernel": plain(pair(layer, "kernel")),
        "stride": plain(block.stride),
        "act": block.depthwise.act if block.kind == "inverted_residual" else block.project.act,
        "reduced": 0 if squeeze is None else number(squeeze.reduce.layer, "channels"),
        "dilation": plain(pair(layer, "dilation")),
        "multiplier": number(layer, "multiplier"),
        "padding": block.padding,
        "expand": block.expand is not None,
        "residual": block.add is not None,
    }


def plain(sizes: tuple[int, int]) -> int | tuple[int, int]:
    return sizes[0] if sizes[0] == sizes[1] else sizes
