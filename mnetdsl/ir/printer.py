"""A module as MLIR generic form, readable by MLIR's own parser and by `mnetdsl.ir.text.reader`.

One `func.func` named `main` in a `builtin.module`. Ports carry their names and declarations as `mnet.*` attributes
of arguments and results; value names in the text are for the eye only. Resources stay outside: a constant names its
array. Attributes are sorted by name, and operations with optional or variadic operands say in `operandSegmentSizes`
how many values each declared operand has.
"""

from __future__ import annotations

import math

from mnetdsl.ir.core import Module, Op, Port, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.derivation import Derivation
from mnetdsl.ir.location import UNKNOWN, Location
from mnetdsl.ir.text.literals import FORMAT_VERSION, VALUE_NAME, attribute_name, float_text, quote
from mnetdsl.ir.types import ElementType, Quantization, TensorType


def print_module(module: Module) -> str:
    """The text of `module`, ending in a newline; the same module gives the same text."""
    names = _value_names(module)
    inputs, outputs = module.graph.inputs, module.graph.outputs
    arguments = ", ".join(
        f"{names[port.value]}: {type_text(port.value.type)} {location_text(port.location)}" for port in inputs
    )
    returned = ", ".join(names[port.value] for port in outputs)
    output_types = ", ".join(type_text(port.value.type) for port in outputs)
    lines = [
        f'"builtin.module"() <{{sym_name = {quote(module.name)}}}> ({{',
        f'  "func.func"() <{_function_properties(inputs, outputs)}> ({{',
        f"  ^bb0({arguments}):",
        *(f"    {operation_text(op, names)}" for op in module.graph.operations),
        f'    "func.return"({returned}) : ({output_types}) -> () loc(unknown)',
        "  }) : () -> () loc(unknown)",
        f"}}) {_module_attributes(module)} : () -> () loc(unknown)",
    ]
    return "\n".join(lines) + "\n"


def operation_text(op: Op, names: dict[Value, str]) -> str:
    """One operation on one line; `names` gives the spelling of every value."""
    items = {name: attribute_text(value) for name, value in op.attributes.items()}
    if any(definition.optional or definition.variadic for definition in op.operand_defs):
        sizes = ", ".join(str(len(op.operand_group(definition.name))) for definition in op.operand_defs)
        items["operandSegmentSizes"] = f"array<i32: {sizes}>"
    attributes = f" {_dictionary(items)}" if items else ""
    operands = ", ".join(names[value] for value in op.operands)
    types = ", ".join(type_text(value.type) for value in op.operands)
    return (
        f'{names[op.result]} = "mnet.{op.opcode}"({operands}){attributes} : ({types}) -> {type_text(op.type)} '
        f"{location_text(op.location)}"
    )


def type_text(type: TensorType) -> str:
    """`tensor<1x96x96x3xui8>`; quantized elements as `!quant.uniform<i8:f32, scale:zero_point>`."""
    element = type.element.value if type.quantization is None else _quantized(type.element, type.quantization)
    return f"tensor<{''.join(f'{size}x' for size in type.shape)}{element}>"


def _quantized(element: ElementType, quantization: Quantization) -> str:
    storage = "u8" if element is ElementType.U8 else element.value
    pairs = [
        f"{float_text(scale)}:{zero_point}"
        for scale, zero_point in zip(quantization.scale, quantization.zero_point, strict=True)
    ]
    if quantization.axis is None:
        return f"!quant.uniform<{storage}:f32, {pairs[0]}>"
    return f"!quant.uniform<{storage}:f32:{quantization.axis}, {{{', '.join(pairs)}}}>"


def location_text(location: Location) -> str:
    """`loc("layer"("net.mnet":31:10))`, or the part of it that is known."""
    place = f"{quote(location.file)}:{location.line}:{location.column}"
    known = (location.file, location.line, location.column) != ("", 0, 0)
    if not location.name:
        return f"loc({place})" if known else "loc(unknown)"
    return f"loc({quote(location.name)}({place}))" if known else f"loc({quote(location.name)})"


def attribute_text(value: AttributeValue | tuple[str, ...]) -> str:
    """An attribute with its type where MLIR needs one to read it back equal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value} : i64"
    if isinstance(value, float):
        return f"{float_text(value)} : f64"
    if isinstance(value, str):
        return quote(value)
    return f"[{', '.join(map(_item_text, value))}]"


def _item_text(value: float | str) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return float_text(value)
    return str(value) if isinstance(value, int) else attribute_text(value)


def _dictionary(items: dict[str, str]) -> str:
    return "{" + ", ".join(f"{attribute_name(name)} = {text}" for name, text in sorted(items.items())) + "}"


def _function_properties(inputs: list[Port], outputs: list[Port]) -> str:
    types = [", ".join(type_text(port.value.type) for port in ports) for ports in (inputs, outputs)]
    properties = {"function_type": f"({types[0]}) -> ({types[1]})", "sym_name": quote("main")}
    if inputs:
        properties["arg_attrs"] = f"[{', '.join(_port_attributes(port) for port in inputs)}]"
    if outputs:
        properties["res_attrs"] = f"[{', '.join(_port_attributes(port, located=True) for port in outputs)}]"
    return _dictionary(properties)


def _port_attributes(port: Port, located: bool = False) -> str:
    items = {f"mnet.{name}": attribute_text(value) for name, value in port.attributes.items()}
    items["mnet.name"] = quote(port.name)
    if located and port.location != UNKNOWN:
        items["mnet.location"] = location_text(port.location)
    return _dictionary(items)


def _module_attributes(module: Module) -> str:
    items = {"mnet.ir": attribute_text(FORMAT_VERSION)}
    if module.derived:
        derived = (f"\n  {_derivation_text(name, derivation)}" for name, derivation in module.derived.items())
        items["mnet.derived"] = f"[{','.join(derived)}\n]"
    return _dictionary(items)


def _derivation_text(name: str, derivation: Derivation) -> str:
    return _dictionary(
        {
            "name": quote(name),
            "function": quote(derivation.function),
            "sources": attribute_text(derivation.sources),
            "types": f"[{', '.join(map(type_text, derivation.types))}]",
            "segments": attribute_text(derivation.segments),
            "attributes": _dictionary({key: attribute_text(value) for key, value in derivation.attributes}),
        }
    )


def _value_names(module: Module) -> dict[Value, str]:
    names: dict[Value, str] = {}
    taken: set[str] = set()
    for port in module.graph.inputs:
        name = port.name if VALUE_NAME.fullmatch(port.name) else "input"
        number = 0
        while (unique := f"{name}_{number}" if number else name) in taken:
            number += 1
        taken.add(unique)
        names[port.value] = f"%{unique}"
    for number, op in enumerate(module.graph.operations):
        names[op.result] = f"%{number}"
    return names
