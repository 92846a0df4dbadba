"""The converter's traces undone where no bit changes: layers that nobody needs, pads in front of convolutions, clamps
on their own or implied by ranges, and the sums and products that stand for hard_swish in float networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mnetdsl.importers.tflite.graph import ImportGraph, Layer, Storage

CLAMPS = ("relu", "relu6")
CARRIERS = ("conv2d", "depthwise_conv2d", "dense", "add", "sub", "mul")
CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
NEAR_SIX = 0.02
"""How far a range may end from 6 where relu6 was meant; training moves it a little."""


def simplify(graph: ImportGraph) -> ImportGraph:
    """The same network in fewer layers. Values of the file that disappear have no layer to be compared with."""
    for step in STEPS:
        graph = step(graph)
    return graph


def drop_unread(graph: ImportGraph) -> ImportGraph:
    """Layers that no output needs, such as those whose reader turned out to need a constant alone."""
    wanted = {output.value for output in graph.outputs}
    kept = []
    for layer in reversed(graph.layers):
        if layer.output in wanted:
            kept.append(layer)
            wanted.update(layer.inputs)
    if len(kept) == len(graph.layers):
        return graph
    note = f"{len(graph.layers) - len(kept)} layers are not needed for any output: left out"
    return replace(graph, layers=tuple(reversed(kept)), notes=(*graph.notes, note))


def fold_pads(graph: ImportGraph) -> ImportGraph:
    """A border of zeros that only convolutions read is their padding, as the pass `fold-pad` has it."""
    readers = graph.readers()
    outputs = {output.value for output in graph.outputs}
    layers = list(graph.layers)
    dropped: set[int] = set()
    for position, pad in enumerate(graph.layers):
        users = readers[pad.output]
        if pad.operation != "pad" or pad.arguments.get("value") or pad.output in outputs or not users:
            continue
        if not all(_takes(layers[user], pad) for user in users):
            continue
        for user in users:
            layers[user] = _padded(layers[user], pad)
        dropped.add(position)
    return graph.with_layers(tuple(layer for position, layer in enumerate(layers) if position not in dropped))


def _takes(layer: Layer, pad: Layer) -> bool:
    if layer.operation not in CONVOLUTIONS or layer.inputs != (pad.output,):
        return False
    kernel, dilation = _numbers(layer, "kernel"), _numbers(layer, "dilation")
    joined = _joined(layer, pad)
    reach = [step * (size - 1) + 1 for size, step in zip(kernel, dilation, strict=True)]
    return max(joined[:2]) < reach[0] and max(joined[2:]) < reach[1]


def _padded(layer: Layer, pad: Layer) -> Layer:
    return replace(layer, inputs=pad.inputs, arguments={**layer.arguments, "padding": _joined(layer, pad)})


def _joined(layer: Layer, pad: Layer) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(_numbers(layer, "padding"), _numbers(pad, "padding"), strict=True))


def _numbers(layer: Layer, name: str) -> tuple[int, ...]:
    found = layer.arguments[name]
    assert isinstance(found, tuple)
    return tuple(int(item) for item in found)


def carry_clamps(graph: ImportGraph) -> ImportGraph:
    """A clamp behind a layer that nobody else reads is the layer's own, where both are stored alike."""
    readers = graph.readers()
    outputs = {output.value for output in graph.outputs}
    makers = {layer.output: position for position, layer in enumerate(graph.layers)}
    layers: list[Layer | None] = list(graph.layers)
    for position, clamp in enumerate(graph.layers):
        if clamp.operation not in CLAMPS:
            continue
        (source,) = clamp.inputs
        maker = makers.get(source)
        before = None if maker is None else layers[maker]
        if maker is None or before is None or before.operation not in CARRIERS or before.activation != "none":
            continue
        alike = graph.storage(source) == graph.values[clamp.output].storage
        if alike and source not in outputs and len(readers[source]) == 1:
            layers[maker] = replace(before, activation=clamp.operation, output=clamp.output)
            layers[position] = None
    return graph.with_layers(tuple(layer for layer in layers if layer is not None))


def name_implied_clamps(graph: ImportGraph) -> ImportGraph:
    """Legacy uint8 networks say relu and relu6 by the range of the result alone. The stored integer ends at the same
    bounds either way, so that naming the clamp changes no bit, and the network is right in float as well."""
    readers = graph.readers()
    layers = []
    for layer in graph.layers:
        users = [graph.layers[position] for position in readers[layer.output]]
        # Gates add 3 to what may be negative; that it was not when ranges were learned says nothing.
        gate = any(user.constants for user in users) and not layer.constants
        clamp = layer.activation if gate else implied_clamp(layer, graph.values[layer.output].storage)
        layers.append(replace(layer, activation=clamp))
    return graph.with_layers(tuple(layers))


def implied_clamp(layer: Layer, storage: Storage | None) -> str:
    """The activation of `layer` when the range of its result is read as a clamp."""
    fits = layer.weighted or (layer.operation == "add" and bool(layer.constants))
    if storage is None or storage.element != "u8" or layer.activation != "none" or not fits:
        return layer.activation
    low, high = storage.bounds
    if storage.zero_point != low:
        return "none"
    top = (high - low) * storage.scale
    six = low + round(6.0 / storage.scale)
    return "relu6" if abs(top - 6.0) <= NEAR_SIX * 6.0 and six >= high else "relu"


def join_float_activations(graph: ImportGraph) -> ImportGraph:
    """relu6(x + 3) / 6 is hard_sigmoid, its product with x hard_swish; x sigmoid(x) is silu. In float networks only:
    quantized ones store every step."""
    if graph.quantized:
        return graph
    for rule in (_hard_sigmoid, _gated("hard_sigmoid", "hard_swish"), _gated("sigmoid", "silu"), _hard_swish):
        graph = _join(graph, rule)
    return graph


def _scalar(layer: Layer, value: float) -> bool:
    (constant,) = layer.constants.values() if len(layer.constants) == 1 else (None,)
    if constant is None or constant.array.size != 1:
        return False
    return bool(np.isclose(float(constant.array.reshape(-1)[0]), value, rtol=1e-5))


def _shifted(layer: Layer) -> bool:
    return layer.operation == "add" and layer.activation == "relu6" and _scalar(layer, 3.0)


def _plain(layer: Layer, operation: str) -> bool:
    return layer.operation == operation and layer.activation == "none"


Rule = Callable[[Layer, Layer], Layer | None]
"""(the layer before, the layer that reads it) -> what both are together."""


def _hard_sigmoid(before: Layer, layer: Layer) -> Layer | None:
    if _shifted(before) and _plain(layer, "mul") and _scalar(layer, 1 / 6):
        return replace(layer, operation="hard_sigmoid", inputs=before.inputs, constants={})
    return None


def _gated(gate: str, name: str) -> Rule:
    def rule(before: Layer, layer: Layer) -> Layer | None:
        fits = before.operation == gate and _plain(layer, "mul") and not layer.constants
        if fits and sorted(layer.inputs) == sorted((before.inputs[0], before.output)):
            return replace(layer, operation=name, inputs=before.inputs)
        return None

    return rule


def _hard_swish(before: Layer, layer: Layer) -> Layer | None:
    """(x relu6(x + 3)) / 6, with the division last: two joins, the first of which leaves a marked product."""
    if _shifted(before) and _plain(layer, "mul") and not layer.constants:
        if sorted(layer.inputs) == sorted((before.inputs[0], before.output)):
            return replace(layer, operation="hard_swish*6", inputs=before.inputs)
    elif before.operation == "hard_swish*6" and _plain(layer, "mul") and _scalar(layer, 1 / 6):
        return replace(layer, operation="hard_swish", inputs=before.inputs, constants={})
    return None


def _join(graph: ImportGraph, rule: Rule) -> ImportGraph:
    outputs = {output.value for output in graph.outputs}
    before_join = graph
    changed = True
    while changed:
        changed = False
        readers = graph.readers()
        makers = {layer.output: layer for layer in graph.layers}
        for layer in graph.layers:
            for source in layer.inputs:
                before = makers.get(source)
                if before is None or len(readers[source]) != 1 or source in outputs:
                    continue
                joined = rule(before, layer)
                if joined is not None:
                    kept = [joined if each is layer else each for each in graph.layers if each is not before]
                    graph, changed = graph.with_layers(tuple(kept)), True
                    break
            if changed:
                break
    halves = any(layer.operation == "hard_swish*6" for layer in graph.layers)
    return before_join if halves else graph


STEPS: tuple[Callable[[ImportGraph], ImportGraph], ...] = (
    drop_unread,
    fold_pads,
    carry_clamps,
    name_implied_clamps,
    join_float_activations,
)
