"""Meaning of the parts of an operation's text: attribute values, ports, locations, derivations."""

from __future__ import annotations

from mnetdsl.ir.core import RESERVED_PORT_KEYS
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.derivation import Derivation
from mnetdsl.ir.location import UNKNOWN, Location
from mnetdsl.ir.text.lexer import fail, printable
from mnetdsl.ir.text.tree import Attribute, Dictionary, FunctionType, LocationNode, Operation
from mnetdsl.ir.types import TensorType
from mnetdsl.source import Span

PORT_PREFIX = "mnet."
MAX_INTEGERS = 64
"""In a list: those are shapes and windows, and counts of operands."""


class Locations:
    """Resolves locations, through the aliases of the file."""

    def __init__(self, aliases: dict[str, LocationNode]) -> None:
        self._aliases = aliases

    def resolve(self, node: LocationNode | None) -> Location:
        name = ""
        seen: set[str] = set()
        while node is not None:
            if node.alias is not None:
                node = self._follow(node, node.alias, seen)
            elif node.name is not None:
                if name:
                    fail("MN1002", "a name inside a name: a location has one layer name and one place", node.span)
                name, node = node.name, node.child
            else:
                return Location(name, *(node.place or ()))
        return Location(name) if name else UNKNOWN

    def _follow(self, node: LocationNode, alias: str, seen: set[str]) -> LocationNode:
        target = self._aliases.get(alias)
        if target is None or alias in seen:
            why = "leads back to itself" if target is not None else "is not defined"
            fail("MN1005", f"the location `{printable(alias)}` {why}", node.span)
        seen.add(alias)
        return target


def plain(attribute: Attribute) -> AttributeValue:
    """A number, string, bool, or list of integers or of floats."""
    value = attribute.value
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        items = tuple(item.value for item in value)
        integers = tuple(item for item in items if type(item) is int)
        floats = tuple(item for item in items if type(item) is float)
        if len(integers) == len(items):
            if len(integers) > MAX_INTEGERS:
                fail("MN1003", f"a list of {len(integers)} integers is longer than {MAX_INTEGERS}", attribute.span)
            return integers
        if len(floats) == len(items):
            return floats
    fail("MN1006", "this must be a number, a string, a bool, or a list of integers or of floats", attribute.span)


def strings(attribute: Attribute) -> tuple[str, ...]:
    value = attribute.value
    if isinstance(value, tuple):
        items = tuple(item.value for item in value if isinstance(item.value, str))
        if len(items) == len(value):
            return items
    fail("MN1006", "this must be a list of strings", attribute.span)


def sizes(attribute: Attribute) -> list[int]:
    """A list of numbers of values."""
    value = plain(attribute)
    if isinstance(value, tuple):
        counts = [item for item in value if type(item) is int and item >= 0]
        if len(counts) == len(value):
            return counts
    fail("MN1006", "this must be a list of counts", attribute.span)


def function_type(function: Operation) -> tuple[tuple[TensorType, ...], tuple[TensorType, ...]]:
    attribute = function.attributes.items.get("function_type")
    if attribute is None or not isinstance(attribute.value, FunctionType):
        fail("MN1009", "`func.func` needs its type, `function_type`", function.span)
    return attribute.value.inputs, attribute.value.outputs


def port_dictionaries(function: Operation, name: str, count: int) -> list[Attribute]:
    """The dictionaries of `arg_attrs` or `res_attrs`, one per port."""
    attribute = function.attributes.items.get(name)
    if attribute is None and not count:
        return []
    if attribute is None:
        fail("MN1009", f"`func.func` needs `{name}`, the names of its ports", function.span)
    if not isinstance(attribute.value, tuple) or len(attribute.value) != count:
        fail("MN1009", f"`{name}` must be a list of {count} dictionaries", attribute.span)
    return list(attribute.value)


def port(
    attribute: Attribute, locations: Locations
) -> tuple[str, dict[str, AttributeValue | tuple[str, ...]], Location]:
    """Name, attributes and location of a port."""
    items = _dictionary(attribute).items
    name = items.get("mnet.name")
    if name is None or not isinstance(name.value, str):
        fail("MN1009", "a port needs its name, a string `mnet.name`", attribute.span)
    location = items.get("mnet.location")
    if location is not None and not isinstance(location.value, LocationNode):
        fail("MN1006", "`mnet.location` must be a location", location.span)
    node = location.value if location is not None and isinstance(location.value, LocationNode) else None
    attributes: dict[str, AttributeValue | tuple[str, ...]] = {}
    for key, item in items.items():
        short = key.removeprefix(PORT_PREFIX)
        if short == key:
            fail("MN1006", f"`{printable(key)}` is no attribute of a port; those begin with `mnet.`", item.span)
        if short not in RESERVED_PORT_KEYS:
            attributes[short] = _port_value(item)
    return name.value, attributes, locations.resolve(node)


def _port_value(item: Attribute) -> AttributeValue | tuple[str, ...]:
    value = item.value
    if isinstance(value, tuple) and value and isinstance(value[0].value, str):
        return strings(item)
    return plain(item)


def derivations(attribute: Attribute) -> dict[str, Derivation]:
    """The module's derived arrays; each may read only arrays that are not derived later."""
    if not isinstance(attribute.value, tuple):
        fail("MN1006", "`mnet.derived` must be a list of dictionaries", attribute.span)
    found: dict[str, Derivation] = {}
    read: dict[str, Span] = {}
    for entry in attribute.value:
        fields = _dictionary(entry).items
        for key in ("name", "function", "sources", "types", "segments", "attributes"):
            if key not in fields:
                fail("MN1006", f"a derived array needs `{key}`", entry.span)
        name, function = fields["name"].value, fields["function"].value
        if not isinstance(name, str) or not isinstance(function, str):
            fail("MN1006", "`name` and `function` of a derived array must be strings", entry.span)
        sources = strings(fields["sources"])
        types = _types(fields["types"])
        if len(types) != len(sources):
            fail("MN1006", f"{len(sources)} sources need as many types, got {len(types)}", fields["types"].span)
        if name in found or name in read or name in sources:
            fail("MN1005", f"the array `{printable(name)}` is derived twice, or from itself", fields["name"].span)
        read.update(dict.fromkeys(sources, entry.span))
        attributes = {key: plain(item) for key, item in _dictionary(fields["attributes"]).items.items()}
        found[name] = Derivation(
            function, sources, types, tuple(sizes(fields["segments"])), tuple(sorted(attributes.items()))
        )
    return found


def _types(attribute: Attribute) -> tuple[TensorType, ...]:
    value = attribute.value
    if isinstance(value, tuple):
        types = tuple(item.value for item in value if isinstance(item.value, TensorType))
        if len(types) == len(value):
            return types
    fail("MN1006", "this must be a list of tensor types", attribute.span)


def _dictionary(attribute: Attribute) -> Dictionary:
    if not isinstance(attribute.value, Dictionary):
        fail("MN1006", "this must be a dictionary", attribute.span)
    return attribute.value
