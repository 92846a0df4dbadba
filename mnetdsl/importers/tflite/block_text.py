"""Blocks as the written file defines them, and the loops and calls that use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mnetdsl.importers.tflite.blocks import Block, Definition, Squeeze, follows_rule, needs_expand, settings
from mnetdsl.importers.tflite.graph import ImportGraph, Layer
from mnetdsl.importers.tflite.literals import SYMBOLS, call, literal, operand

TYPES = {
    "channels": "int",
    "expanded": "int",
    "kernel": "int",
    "stride": "int",
    "act": "activation",
    "reduced": "int",
    "dilation": "int",
    "multiplier": "int",
    "padding": "symbol",
    "expand": "bool",
    "residual": "bool",
}
"""Parameters of blocks in the order in which they are written -> type."""
ALWAYS = {"separable": ("channels",), "inverted_residual": ("channels",)}
LANGUAGE = {"kernel": 3, "stride": 1, "dilation": 1, "multiplier": 1, "padding": "same"}
"""What the language takes where a depthwise convolution does not say otherwise."""
COLUMNS = (
    "kernel",
    "expansion",
    "expanded",
    "channels",
    "reduced",
    "act",
    "dilation",
    "padding",
    "multiplier",
    "expand",
    "residual",
    "stride",
)


@dataclass(frozen=True)
class BlockText:
    """How one definition is written: the values that all calls share, and the defaults of its parameters."""

    name: str
    squeeze_name: str
    definition: Definition
    fixed: dict[str, object]
    defaults: dict[str, object]

    def given(self, block: Block) -> dict[str, object]:
        return _alike(self.definition)[self.definition.instances.index(block)]

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(name for name in TYPES if name in self.defaults or name in ALWAYS[self.definition.kind])


def _alike(definition: Definition) -> list[dict[str, object]]:
    """The settings of all calls, with one type for each: where one of them is a list, all are."""
    calls = [dict(settings(block)) for block in definition.instances]
    for key in ("kernel", "stride", "dilation"):
        if any(isinstance(given[key], tuple) for given in calls):
            for given in calls:
                size = given[key]
                given[key] = size if isinstance(size, tuple) else (size, size)
    if any(isinstance(given["padding"], tuple) for given in calls):
        for given, block in zip(calls, definition.instances, strict=True):
            given["padding"] = block.depthwise.layer.arguments["padding"]
    return calls


def block_texts(definitions: Sequence[Definition], graph: ImportGraph) -> list[BlockText]:
    kinds = Counter(definition.kind for definition in definitions)
    squeezes = sum(definition.squeeze is not None for definition in definitions)
    numbers: Counter[str] = Counter()
    texts = []
    for definition in definitions:
        numbers[definition.kind] += 1
        many = kinds[definition.kind] > 1
        name = f"{definition.kind}_{numbers[definition.kind]}" if many else definition.kind
        numbers["squeeze"] += definition.squeeze is not None
        squeeze = f"squeeze_excite_{numbers['squeeze']}" if squeezes > 1 else "squeeze_excite"
        texts.append(_block_text(name, squeeze, definition, graph))
    return texts


def _block_text(name: str, squeeze: str, definition: Definition, graph: ImportGraph) -> BlockText:
    calls = _alike(definition)
    fixed: dict[str, object] = {}
    defaults: dict[str, object] = {}
    unused = {"channels"}
    if definition.kind == "separable":
        unused |= {"expanded", "reduced", "expand", "residual"}
    if definition.squeeze is None:
        unused.add("reduced")
    if all((block.expand is not None) == needs_expand(block) for block in definition.instances):
        unused.add("expand")
    if follows_rule(definition, graph):
        unused.add("residual")
    if not any(block.expand is not None for block in definition.instances):
        unused.add("expanded")
    for key in TYPES:
        if key in unused:
            continue
        values = [given[key] for given in calls]
        if len(set(values)) == 1 and key != "expanded":
            fixed[key] = values[0]
        elif any(isinstance(value, tuple) for value in values):
            defaults[key] = Counter(values).most_common(1)[0][0]
        elif key in ("stride", "reduced", "dilation", "multiplier"):
            defaults[key] = 0 if key == "reduced" else 1
        elif key == "padding":
            defaults[key] = "same"
        elif key != "expanded":
            defaults[key] = Counter(values).most_common(1)[0][0]
        else:
            defaults[key] = None
    return BlockText(name, squeeze, definition, fixed, defaults)


# Definitions


def defined(text: BlockText, graph: ImportGraph) -> list[str]:
    """The lines of the block, and of the squeeze-and-excite that it calls."""
    lines = []
    squeeze = text.definition.squeeze
    if squeeze is not None:
        lines += [*_squeeze_lines(squeeze, text.squeeze_name), ""]
    given = ", ".join(_parameter(name, text) for name in text.parameters)
    lines.append(_doc(text, graph))
    lines.append(f"block {text.name}(x: tensor, {given}) {{")
    lines += _separable_lines(text) if text.definition.kind == "separable" else _inverted_lines(text, graph)
    return [*lines, "}", ""]


def _parameter(name: str, text: BlockText) -> str:
    default = text.defaults.get(name)
    type = TYPES[name]
    if any(isinstance(given[name], tuple) for given in _alike(text.definition)):
        type = "list"
    return f"{name}: {type}" + ("" if default is None else f" = {literal(default)}")


def _doc(text: BlockText, graph: ImportGraph) -> str:
    if text.definition.kind == "separable":
        return "/// A filter per channel, then a pointwise mix of the channels; batch normalization is in the weights."
    adds = any(block.add is not None for block in text.definition.instances)
    end = ", add the input where shapes agree" if adds and follows_rule(text.definition, graph) else ""
    gate = ", gate" if text.definition.squeeze is not None else ""
    return f"/// Expand, filter{gate}, project{end}; batch normalization is in the weights."


def _window(text: BlockText) -> dict[str, str]:
    named: dict[str, str] = {}
    for name, default in LANGUAGE.items():
        if name in text.fixed:
            if text.fixed[name] != default:
                named[name] = literal(text.fixed[name])
        else:
            named[name] = name
    return named


def _applied(act: object, variable: str) -> list[str]:
    return [] if act == "none" else [f"{variable} = {literal(act)}({variable})"]


def _act(text: BlockText) -> object:
    return text.fixed.get("act", "act")


def _separable_lines(text: BlockText) -> list[str]:
    first = text.definition.instances[0]
    act = _act(text)
    inner = act if first.depthwise.act == first.project.act else first.depthwise.act
    return [
        f"x = {call('depthwise_conv2d', ['x'], _window(text))} as depthwise",
        *_applied(inner, "x"),
        "x = conv2d(x, channels) as pointwise",
        f"return {literal(act)}(x)",
    ]


def _inverted_lines(text: BlockText, graph: ImportGraph) -> list[str]:
    instances = text.definition.instances
    act = _act(text)
    lines: list[str] = []
    expanding = [block for block in instances if block.expand is not None]
    condition = ""
    if len(expanding) < len(instances) and expanding:
        condition = "expand" if "expand" in text.parameters else "expanded != x.channels"
    variable = "y" if expanding and not condition else "x"
    if expanding:
        inside = [f"y = conv2d({'y' if condition else 'x'}, expanded) as expand", *_applied(act, "y")]
        lines += ["y = x", f"if {condition} {{", *inside, "}"] if condition else inside
        variable = "y"
    lines.append(f"y = {call('depthwise_conv2d', [variable], _window(text))} as depthwise")
    lines += _applied(act, "y")
    if text.definition.squeeze is not None:
        reduced = literal(text.fixed.get("reduced", "reduced"))
        squeeze = f"y = {text.squeeze_name}(y, {reduced}) as squeeze"
        conditional = "reduced" in text.parameters
        lines += ["if reduced > 0 {", squeeze, "}"] if conditional else [squeeze]
    lines.append("y = conv2d(y, channels) as project")
    adding = [block for block in instances if block.add is not None]
    if adding:
        sum_ = _sum(adding[0])
        if len(adding) == len(instances):
            lines.append(sum_)
        else:
            rule = "residual" if "residual" in text.parameters else _rule(text)
            lines += [f"if {rule} {{", sum_, "}"]
    return [*lines, "return y"]


def _sum(block: Block) -> str:
    assert block.add is not None
    return "y = x + y" if block.add.inputs[0] == block.input else "y = y + x"


def _rule(text: BlockText) -> str:
    """Where shapes allow a sum; the stride is named where it is a parameter."""
    return "stride == 1 and y.shape == x.shape" if "stride" in text.parameters else "y.shape == x.shape"


def _squeeze_lines(squeeze: Squeeze, name: str) -> list[str]:
    mean = "avg_pool(x, [x.height, x.width])"
    if squeeze.pool == "global_avg_pool":
        mean = "reshape(global_avg_pool(x), [1, 1, x.channels])"
    lines = [
        "/// Channel gates from the mean of each channel.",
        f"block {name}(x: tensor, reduced: int) {{",
        f"s = {mean}",
        "s = conv2d(s, reduced) as reduce",
        *_applied(squeeze.reduce.act, "s"),
        "s = conv2d(s, x.channels) as expand",
        *_applied(squeeze.expand.act, "s"),
    ]
    for gate in squeeze.gates:
        lines += [f"s = {_gate(gate)}", *_applied(gate.activation, "s")]
    product = "s * x" if squeeze.scale.inputs[0] != _gated(squeeze) else "x * s"
    if squeeze.scale.activation != "none":
        product = f"{squeeze.scale.activation}({product})"
    return [*lines, f"return {product}", "}"]


def _gated(squeeze: Squeeze) -> int:
    """The value that the gates are multiplied with."""
    gate = (squeeze.gates[-1].output,) if squeeze.gates else (squeeze.expand.output,)
    return next(value for value in squeeze.scale.inputs if value not in gate)


def _gate(gate: Layer) -> str:
    ((place, constant),) = gate.constants.items()
    operands = ["s"]
    operands.insert(place, operand(constant))
    return f" {SYMBOLS[gate.operation]} ".join(operands)


# Uses


def used(text: BlockText, blocks: Sequence[Block], name: str, source: str, target: str) -> list[str]:
    """A call, or a loop over a table of its arguments."""
    if len(blocks) == 1:
        given = text.given(blocks[0])
        named = {
            key: literal(given[key])
            for key in text.parameters
            if key != "channels" and given[key] != text.defaults.get(key)
        }
        return [f"{target} = {call(text.name, [source, literal(given['channels'])], named)} as {name}"]
    rows = [_cells(text, block) for block in blocks]
    factors = [block.expanded // block.channels_in for block in blocks]
    if "expanded" in text.parameters and all(
        block.expanded == factor * block.channels_in for block, factor in zip(blocks, factors, strict=True)
    ):
        for row, factor in zip(rows, factors, strict=True):
            row["expansion"] = factor
            del row["expanded"]
    varying = [column for column in COLUMNS if column in rows[0] and len({str(row[column]) for row in rows}) > 1]
    if not varying:
        varying = ["channels"]
    merged = _merged([{column: row[column] for column in varying} for row in rows])
    lines = [] if source == target else [f"{target} = {source}"]
    lines += _table(name, varying, merged)
    first_only = any(count > 1 for _, count in merged) and "stride" in varying
    named = {}
    for key in text.parameters:
        column = "expansion" if key == "expanded" and "expansion" in rows[0] else key
        value = f"row.{column}" if column in varying else literal(rows[0][column])
        if column == "expansion":
            value = f"{target}.channels * {value}"
        if column == "stride" and first_only:
            value = "row.stride if row.first else 1"
        if column in varying or rows[0][column] != text.defaults.get(key):
            named[key] = value
    channels = named.pop("channels")
    return [*lines, f"for row in {name} {{", f"{target} = {call(text.name, [target, channels], named)}", "}"]


def _cells(text: BlockText, block: Block) -> dict[str, object]:
    given = text.given(block)
    return {key: given[key] for key in text.parameters}


def _merged(rows: Sequence[dict[str, object]]) -> list[tuple[dict[str, object], int]]:
    """Equal rows behind each other as one with a count; of those that differ by the stride, the first may have 2."""
    merged: list[tuple[dict[str, object], int]] = []
    for row in rows:
        if merged:
            last, count = merged[-1]
            others = {key: value for key, value in last.items() if key != "stride"}
            if row.get("stride", 1) == 1 and all(row[key] == value for key, value in others.items()):
                merged[-1] = (last, count + 1)
                continue
        merged.append((row, 1))
    return merged


def _table(name: str, columns: Sequence[str], rows: Sequence[tuple[dict[str, object], int]]) -> list[str]:
    repeats = any(count > 1 for _, count in rows)
    lines = [f"table {name} {{", " ".join([*columns, *(["repeat"] if repeats else [])])]
    for row, count in rows:
        cells = [_cell(row[column]) for column in columns] + ([str(count)] if repeats else [])
        lines.append(" ".join(cells))
    return [*lines, "}"]


def _cell(value: object) -> str:
    return f"({literal(value)})" if isinstance(value, tuple) else literal(value)
