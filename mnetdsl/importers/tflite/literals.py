"""Pieces of the language's text: literals and calls."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.importers.tflite.blocks import NO_PADDING, Padding, number, padding_of, pair, plain
from mnetdsl.importers.tflite.graph import Constant, ImportGraph, Layer

FLOAT_DIGITS = 9
"""Enough digits for every float32."""


def literal(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return decimal(value)
        case tuple() | list():
            return f"[{', '.join(literal(item) for item in value)}]"
        case _:
            return str(value)


def decimal(value: float) -> str:
    """The shortest decimal that is `value`, as the language writes floats."""
    text = repr(float(value))
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def quoted(text: str) -> str:
    """A string of the language; what it has no escape for becomes a space."""
    plain_text = "".join(c if c.isprintable() else " " for c in text)
    return '"' + plain_text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def numbers(values: Sequence[float]) -> str:
    return literal(values[0]) if len(values) == 1 else literal(tuple(values))


def call(name: str, positional: Sequence[str], named: dict[str, str]) -> str:
    return f"{name}({', '.join([*positional, *(f'{key} = {value}' for key, value in named.items())])})"


def window_arguments(layer: Layer, padding: Padding, kernel: int) -> dict[str, str]:
    """Arguments of a convolution that differ from the language's defaults; `kernel` is that of its kernel."""
    found: dict[str, str] = {}
    for name, default in (("kernel", kernel), ("stride", 1), ("padding", "same"), ("dilation", 1)):
        value = padding if name == "padding" else plain(pair(layer, name))
        if value != default:
            found[name] = literal(value)
    if layer.arguments.get("multiplier", 1) != 1:
        found["multiplier"] = literal(layer.arguments["multiplier"])
    if layer.bias is None:
        found["bias"] = "false"
    return found


def operand(constant: Constant) -> str:
    """A constant operand: a number, or a list with one for each channel."""
    found = [decimal(float(str(number))) for number in constant.real().reshape(-1)]
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]"


SYMBOLS = {"add": "+", "sub": "-", "mul": "*"}


def expression(layer: Layer, sources: Sequence[str], graph: ImportGraph) -> str:
    """The call that makes `layer` from the variables `sources`, without its activation."""
    arguments = layer.arguments
    shape = graph.values[layer.inputs[0]].shape
    match layer.operation:
        case "conv2d":
            padding = padding_of(layer, shape)
            return call("conv2d", [*sources, literal(arguments["channels"])], window_arguments(layer, padding, 1))
        case "depthwise_conv2d":
            return call("depthwise_conv2d", sources, window_arguments(layer, padding_of(layer, shape), 3))
        case "dense":
            named = {} if layer.bias is not None else {"bias": "false"}
            return call("dense", [*sources, literal(arguments["features"])], named)
        case "add" | "sub" | "mul":
            operands = list(sources)
            for place, constant in sorted(layer.constants.items()):
                operands.insert(place, operand(constant))
            return f" {SYMBOLS[layer.operation]} ".join(operands)
        case "avg_pool" | "max_pool":
            return pooled(layer, sources[0], shape, graph)
        case "reshape":
            sizes = arguments["shape"]
            assert isinstance(sizes, tuple)
            return f"flatten({sources[0]})" if len(sizes) == 1 else call("reshape", [sources[0], literal(sizes)], {})
        case "concat":
            axis = {} if arguments["axis"] == -1 else {"axis": literal(number(layer, "axis") + len(shape) - 1)}
            return call("concat", [f"[{', '.join(sources)}]"], axis)
        case "clamp":
            return call("clamp", [*sources, literal(arguments["low"]), literal(arguments["high"])], {})
        case "pad":
            value = {"value": literal(arguments["value"])} if "value" in arguments else {}
            return call("pad", [*sources, literal(arguments["padding"])], value)
        case _:
            return call(layer.operation, sources, {key: literal(value) for key, value in arguments.items()})


def pooled(layer: Layer, source: str, shape: Sequence[int], graph: ImportGraph) -> str:
    """A pool; the stride is left out where there is one window, or where windows lie side by side."""
    kernel, stride = pair(layer, "kernel"), pair(layer, "stride")
    padding = layer.arguments["padding"]
    named: dict[str, str] = {}
    one = graph.values[layer.output].shape[1:3] == (1, 1)
    assert isinstance(padding, tuple)
    sizes = (shape[1] + padding[0] + padding[1], shape[2] + padding[2] + padding[3])
    if stride != kernel and not (one and all(size < 2 * k for size, k in zip(sizes, kernel, strict=True))):
        named["stride"] = literal(plain(stride))
    if padding != NO_PADDING:
        named["padding"] = literal(padding_of(layer, tuple(shape)))
    return call(layer.operation, [source, literal(plain(kernel))], named)
