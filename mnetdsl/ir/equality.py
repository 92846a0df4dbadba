"""When two modules are the same: everything that their text says, compared directly."""

from __future__ import annotations

import struct
from collections.abc import Hashable, Mapping

from mnetdsl.ir.core import Module, Op, Port, Value
from mnetdsl.ir.declare import AttributeValue


def equal(left: Module, right: Module) -> bool:
    """Same name, ports, operations, attributes, locations and derived arrays. Loaded arrays do not count."""
    return difference(left, right) is None


def difference(left: Module, right: Module) -> str | None:
    """The first difference in words, or None.

    Floats are equal when their bits are: NaN equals itself, -0.0 is not 0.0.
    """
    if left.name != right.name:
        return f"modules are called `{left.name}` and `{right.name}`"
    pairs: dict[Value, Value] = {}
    return (
        _ports("input", left.graph.inputs, right.graph.inputs, pairs, define=True)
        or _operations(left.graph.operations, right.graph.operations, pairs)
        or _ports("output", left.graph.outputs, right.graph.outputs, pairs, define=False)
        or _derived(left, right)
    )


def _ports(kind: str, left: list[Port], right: list[Port], pairs: dict[Value, Value], define: bool) -> str | None:
    if len(left) != len(right):
        return f"{len(left)} and {len(right)} {kind}s"
    for a, b in zip(left, right, strict=True):
        if a.name != b.name:
            return f"{kind}s are called `{a.name}` and `{b.name}`"
        if a.value.type != b.value.type:
            return f"{kind} `{a.name}` is {a.value.type} and {b.value.type}"
        if a.location != b.location:
            return f"{kind} `{a.name}` stands at {a.location!r} and {b.location!r}"
        if attributes_key(a.attributes) != attributes_key(b.attributes):
            return f"{kind} `{a.name}` has attributes {a.attributes} and {b.attributes}"
        if define:
            pairs[a.value] = b.value
        elif pairs.get(a.value) is not b.value:
            return f"{kind} `{a.name}` names different values"
    return None


def _operations(left: list[Op], right: list[Op], pairs: dict[Value, Value]) -> str | None:
    for number, (a, b) in enumerate(zip(left, right, strict=False)):
        what = f"operation {number} (`{a.opcode}` {a.name})"
        if a.opcode != b.opcode:
            return f"{what} is `{b.opcode}` on the right"
        if a.type != b.type:
            return f"{what} gives {a.type} and {b.type}"
        if a.location != b.location:
            return f"{what} stands at {a.location!r} and {b.location!r}"
        if attributes_key(a.attributes) != attributes_key(b.attributes):
            return f"{what} has attributes {a.attributes} and {b.attributes}"
        for definition in a.operand_defs:
            reads, others = a.operand_group(definition.name), b.operand_group(definition.name)
            if [pairs.get(value) for value in reads] != list(others):
                return f"{what} reads different values as {definition.name}"
        pairs[a.result] = b.result
    if len(left) != len(right):
        return f"{len(left)} and {len(right)} operations"
    return None


def _derived(left: Module, right: Module) -> str | None:
    if list(left.derived) != list(right.derived):
        return f"derived arrays are {list(left.derived)} and {list(right.derived)}"
    for name, derivation in left.derived.items():
        other = right.derived[name]
        plain = (derivation.function, derivation.sources, derivation.types, derivation.segments)
        same = plain == (other.function, other.sources, other.types, other.segments)
        if not same or attributes_key(dict(derivation.attributes)) != attributes_key(dict(other.attributes)):
            return f"the array `{name}` is derived in two ways"
    return None


def attributes_key(attributes: Mapping[str, AttributeValue | tuple[str, ...]]) -> Hashable:
    """Attributes in a form in which `==` compares floats by their bits and never an int with a float or bool."""
    return frozenset((name, _value_bits(value)) for name, value in attributes.items())


def _value_bits(value: AttributeValue | tuple[str, ...]) -> Hashable:
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, tuple):
        return tuple(_value_bits(item) for item in value)
    return type(value), value
