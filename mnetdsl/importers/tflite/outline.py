"""The order and the names of the written file: loops over equal blocks, single blocks, layers of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnetdsl.importers.tflite.blocks import ONE, Block, Definition, definitions, find_blocks, pair
from mnetdsl.importers.tflite.graph import ImportGraph, Layer

LONG = 4
"""A value that is read more than so many statements later has a name of its own."""
SHORT_NAMES = ("x", "y", "z", "v", "w")


@dataclass(frozen=True, eq=False)
class Run:
    """Blocks of one definition, each reading the one before: a loop, or one call where it is one block."""

    definition: int
    blocks: tuple[Block, ...]
    name: str

    @property
    def output(self) -> int:
        return self.blocks[-1].output

    @property
    def inputs(self) -> tuple[int, ...]:
        return (self.blocks[0].input,)


Item = Run | Layer


@dataclass(frozen=True)
class Outline:
    """`definitions` are the blocks at the top of the file; `labels` names layers with weights that stand alone,
    `variables` says under which name each value is held."""

    definitions: tuple[Definition, ...]
    items: tuple[Item, ...]
    labels: Mapping[int, str]
    variables: Mapping[int, str]
    loops: Mapping[int, str]
    """The variable of a loop, by the value that it ends with."""

    def layers(self) -> list[Layer]:
        """All layers in the order in which the text makes them."""
        found: list[Layer] = []
        for item in self.items:
            found += [item] if isinstance(item, Layer) else [part for block in item.blocks for part in block.layers]
        return found


def outline(graph: ImportGraph) -> Outline:
    found = find_blocks(graph)
    groups = definitions([item for item in found if isinstance(item, Block)])
    items = _runs(found, groups, graph)
    labels = _labels(items, graph)
    variables, loops = _variables(items, labels, graph)
    return Outline(tuple(groups), tuple(items), labels, variables, loops)


def _runs(found: Sequence[Block | Layer], groups: Sequence[Definition], graph: ImportGraph) -> list[Item]:
    readers = graph.readers()
    outputs = {output.value for output in graph.outputs}
    group_of = {block.output: place for place, group in enumerate(groups) for block in group.instances}
    items: list[Item] = []
    chains: list[list[Block]] = []
    places: list[int] = []
    for item in found:
        if isinstance(item, Layer):
            items.append(item)
            continue
        last = chains[-1][-1] if chains else None
        if last is not None and places[-1] == len(items) - 1 and last.output == item.input:
            own = {id(layer) for layer in item.layers}
            alone = all(id(graph.layers[user]) in own for user in readers[last.output])
            if alone and last.output not in outputs and group_of[last.output] == group_of[item.output]:
                chains[-1].append(item)
                continue
        chains.append([item])
        places.append(len(items))
        items.append(item.project.layer)  # replaced below
    loops = sum(len(chain) > 1 for chain in chains)
    numbers = {True: 0, False: 0}
    for place, chain in zip(places, chains, strict=True):
        loop = len(chain) > 1
        numbers[loop] += 1
        many = loops > 1 if loop else len(chains) - loops > 1
        stem = "body" if loop else "block"
        name = f"{stem}_{numbers[loop]}" if many or not loop else stem  # `block` is a word of the language
        items[place] = Run(group_of[chain[0].output], tuple(chain), name)
    return items


# Names of layers


def _labels(items: Sequence[Item], graph: ImportGraph) -> dict[int, str]:
    """Output of a layer with weights -> its name: from what stands around it, else a number."""
    weighted = [item for item in items if isinstance(item, Layer) and item.weighted]
    found: dict[int, str] = {}
    if not weighted:
        return found
    for value, name in _branches(graph).items():
        if any(layer.output == value for layer in weighted):
            found[value] = name
    if items and any(not isinstance(item, Layer) for item in items):
        _around_body(items, graph, found)
    outputs = {output.value for output in graph.outputs}
    makers = {layer.output: layer for layer in graph.layers}
    for value in outputs:
        last = _last_weighted(value, makers)
        if last is not None and last.output not in found and _is_classifier(last, graph):
            found[last.output] = "classifier"
    if weighted[0].output not in found and set(weighted[0].inputs) & _from_inputs(graph):
        found[weighted[0].output] = "stem"
    taken = set(found.values())
    numbers: dict[str, int] = {}
    for layer in weighted:
        if layer.output in found:
            continue
        stem = {"conv2d": "conv", "depthwise_conv2d": "depthwise"}.get(layer.operation, layer.operation)
        while True:
            numbers[stem] = numbers.get(stem, 0) + 1
            name = f"{stem}_{numbers[stem]}"
            if name not in taken:
                break
        found[layer.output] = name
    return _distinct(found)


def _distinct(names: Mapping[int, str]) -> dict[int, str]:
    found: dict[int, str] = {}
    taken: set[str] = set()
    for value, name in names.items():
        number, chosen = 1, name
        while chosen in taken:
            number += 1
            chosen = f"{name}_{number}"
        taken.add(chosen)
        found[value] = chosen
    return found


MOVING = frozenset({"reshape", "softmax", "sigmoid", "resize", "argmax", "transpose", "slice", "relu", "relu6"})
"""Operations that are passed on the way from an output to the layer that it comes from."""


def _last_weighted(value: int, makers: Mapping[int, Layer]) -> Layer | None:
    while (layer := makers.get(value)) is not None and not layer.weighted:
        if layer.operation not in MOVING:
            return None
        value = layer.inputs[0]
    return layer


def _is_classifier(layer: Layer, graph: ImportGraph) -> bool:
    shape = graph.values[layer.output].shape
    return layer.operation == "dense" or shape[1:3] == ONE or len(graph.outputs) == 1


def _from_inputs(graph: ImportGraph) -> set[int]:
    """Values that come from an input without weights in between."""
    found = {port.value for port in graph.inputs}
    for layer in graph.layers:
        if not layer.weighted and found.issuperset(layer.inputs):
            found.add(layer.output)
    return found


def _branches(graph: ImportGraph) -> dict[int, str]:
    """Layers whose results are joined into an output: `boxes_0`, `boxes_1`, … for an output `boxes`."""
    makers = {layer.output: layer for layer in graph.layers}
    found: dict[int, str] = {}
    for output in graph.outputs:
        value = output.value
        while (layer := makers.get(value)) is not None and layer.operation in MOVING:
            value = layer.inputs[0]
        if layer is None or layer.operation != "concat":
            continue
        for number, branch in enumerate(layer.inputs):
            last = _last_weighted(branch, makers)
            if last is not None:
                found[last.output] = f"{output.name}_{number}"
    return found


def _around_body(items: Sequence[Item], graph: ImportGraph, found: dict[int, str]) -> None:
    """`head` for the pointwise convolution between the last block and the mean, `hidden` for one behind the mean."""
    last = max(place for place, item in enumerate(items) if not isinstance(item, Layer))
    behind = [item for item in items[last + 1 :] if isinstance(item, Layer)]
    pools = [place for place, item in enumerate(behind) if item.operation in ("avg_pool", "global_avg_pool")]
    if not pools or (graph.values[behind[pools[0]].output].shape[1:3] != ONE and len(graph.outputs) != 1):
        return
    heads = [layer for layer in behind[: pools[0]] if layer.weighted]
    if len(heads) == 1 and heads[0].operation == "conv2d" and pair(heads[0], "kernel") == ONE:
        found.setdefault(heads[0].output, "head")
    hidden = [layer for layer in behind[pools[0] :] if layer.weighted][:-1]
    if len(hidden) == 1 and graph.values[hidden[0].output].shape[-2] == 1:
        found.setdefault(hidden[0].output, "hidden")


# Names of values


def _variables(
    items: Sequence[Item], labels: Mapping[int, str], graph: ImportGraph
) -> tuple[dict[int, str], dict[int, str]]:
    """Short names used again and again, as people write a chain; own names for what is read much later."""
    last: dict[int, int] = {}
    for place, item in enumerate(items):
        for value in item.inputs:
            last[value] = place
    found = {port.value: port.name for port in graph.inputs}
    outputs = {output.value: output.name for output in graph.outputs}
    makers = {layer.output: layer for layer in graph.layers}
    held: dict[str, int] = {}
    taken = {*found.values(), *outputs.values()}
    loops: dict[int, str] = {}
    for place, item in enumerate(items):
        value = item.output
        free = [name for name in SHORT_NAMES if last.get(held.get(name, -1), -1) <= place and name not in taken]
        name = free[0] if free else f"value_{place}"
        loops[value] = name
        if value in outputs:
            found[value] = outputs[value]
            continue
        until = last.get(value, place)
        if until - place > LONG:
            before = _last_weighted(value, makers)
            plain = "features" if isinstance(item, Run) or before is None else labels.get(before.output, "features")
            own, number = plain, 1
            while own in taken:
                number += 1
                own = f"{plain}_{number}"
            taken.add(own)
            found[value] = own
            continue
        held[name] = value
        found[value] = name
    return found, loops
