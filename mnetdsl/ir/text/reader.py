"""IR text to a module: the inverse of `mnetdsl.ir.printer`, for text that nobody vouches for.

Accepts what the printer writes and what MLIR's own printer makes of it (aliases for locations, sorted attributes,
other value names). The first thing that does not fit is reported with its place; the result passes `verify`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.diagnostics import Label
from mnetdsl.diagnostics.suggest import did_you_mean, meant
from mnetdsl.ir.core import Module, Op, OperandArgument, Port, ShapeError, Value
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.printer import type_text
from mnetdsl.ir.text import content
from mnetdsl.ir.text.content import Locations
from mnetdsl.ir.text.lexer import fail, printable
from mnetdsl.ir.text.literals import FORMAT_VERSION
from mnetdsl.ir.text.parser import Parser
from mnetdsl.ir.text.tree import Attribute, Operation, Region, ValueName
from mnetdsl.ir.types import TensorType
from mnetdsl.ir.verifier import Stage, violations
from mnetdsl.source import SourceFile, Span

SEGMENTS = "operandSegmentSizes"


def read_module(source: SourceFile) -> Module:
    """The module that `source` describes, without resources. Raises `MnetError` (MN1001 to MN1009)."""
    file = Parser(source).file()
    function = _function(file.operation)
    reader = _Reader(Locations(file.aliases))
    module = Module(_symbol_name(file.operation, "builtin.module"))
    reader.graph(function, module)
    attributes = dict(file.operation.attributes.items)
    _check_version(file.operation, attributes.pop("mnet.ir", None))
    if "mnet.derived" in attributes:
        module.derived = content.derivations(attributes.pop("mnet.derived"))
    _refuse_others(file.operation, attributes, ("sym_name",))
    for violation in violations(module, Stage.BUILT):
        span = reader.spans.get(violation.op, function.span) if violation.op is not None else function.span
        fail("MN1010", violation.message, span)
    return module


def _function(operation: Operation) -> Operation:
    """The one function of the one module."""
    if operation.name != "builtin.module":
        fail(
            "MN1009",
            f'the IR text must hold one `"builtin.module"`, found `{printable(operation.name)}`',
            operation.span,
        )
    region = _only_region(operation)
    if len(region.operations) != 1 or region.operations[0].name != "func.func":
        wrong = next((op for op in region.operations if op.name != "func.func"), None) or operation
        fail("MN1009", 'a module of mnet holds exactly one `"func.func"`, its graph', wrong.span)
    return region.operations[0]


def _only_region(operation: Operation) -> Region:
    if len(operation.regions) != 1 or operation.operands or operation.result is not None or operation.type != ((), ()):
        fail("MN1009", f"`{operation.name}` must have one region and neither operands nor results", operation.span)
    return operation.regions[0]


def _symbol_name(operation: Operation, what: str) -> str:
    attribute = operation.attributes.items.get("sym_name")
    if attribute is None or not isinstance(attribute.value, str):
        fail("MN1009", f"`{what}` needs its name, a string `sym_name`", operation.span)
    return attribute.value


def _check_version(operation: Operation, attribute: Attribute | None) -> None:
    if attribute is None or type(attribute.value) is not int or attribute.value != FORMAT_VERSION:
        fail(
            "MN1009",
            f"the module is not IR text of edition {FORMAT_VERSION}",
            operation.span if attribute is None else attribute.span,
            help=f"this mnet reads modules with the attribute `mnet.ir = {FORMAT_VERSION} : i64`",
        )


def _refuse_others(operation: Operation, attributes: dict[str, Attribute], known: Sequence[str]) -> None:
    for name in attributes:
        if name not in known:
            span = operation.attributes.spans[name]
            fail(
                "MN1006",
                f"`{operation.name}` has no attribute `{printable(name)}`",
                span,
                meant(name, known, "unknown"),
            )


class _Reader:
    """Builds one graph; `spans` says where each operation stands."""

    def __init__(self, locations: Locations) -> None:
        self.spans: dict[Op, Span] = {}
        self._locations = locations
        self._values: dict[str, Value] = {}
        self._defined: dict[str, Span] = {}

    def graph(self, function: Operation, module: Module) -> None:
        attributes = function.attributes
        _symbol_name(function, "func.func")
        _refuse_others(function, attributes.items, ("sym_name", "function_type", "arg_attrs", "res_attrs"))
        region = _only_region(function)
        inputs, outputs = content.function_type(function)
        declared = content.port_dictionaries(function, "arg_attrs", len(inputs))
        if tuple(argument.type for argument in region.arguments) != inputs:
            fail("MN1008", "the arguments of the block are not those of `function_type`", region.span)
        for argument, dictionary in zip(region.arguments, declared, strict=True):
            value = self._define(argument.name, Value(argument.type))
            location = self._locations.resolve(argument.location)
            name, port_attributes, _ = content.port(dictionary, self._locations)
            module.graph.inputs.append(Port(name, value, port_attributes, location))
        if not region.operations or region.operations[-1].name != "func.return":
            fail("MN1009", 'the function must end in `"func.return"`', region.span)
        *operations, last = region.operations
        for operation in operations:
            module.graph.operations.append(self._operation(operation))
        self._outputs(last, outputs, content.port_dictionaries(function, "res_attrs", len(outputs)), module)

    def _outputs(
        self, last: Operation, types: tuple[TensorType, ...], declared: list[Attribute], module: Module
    ) -> None:
        _refuse_others(last, last.attributes.items, ())
        values = self._operands(last)
        if tuple(value.type for value in values) != types or last.result is not None or last.type[1]:
            fail("MN1008", "`func.return` does not return what `function_type` says", last.span)
        for value, dictionary in zip(values, declared, strict=True):
            name, attributes, location = content.port(dictionary, self._locations)
            module.graph.outputs.append(Port(name, value, attributes, location))

    def _define(self, name: ValueName, value: Value) -> Value:
        first = self._defined.get(name.text)
        if first is not None:
            fail(
                "MN1005",
                f"`{printable(name.text)}` is defined twice",
                name.span,
                "the second one",
                also=(Label(first, "the first one"),),
            )
        self._defined[name.text] = name.span
        self._values[name.text] = value
        return value

    def _operands(self, operation: Operation) -> list[Value]:
        """The operands, their stated types checked against those they have."""
        types = operation.type[0]
        if len(types) != len(operation.operands):
            fail(
                "MN1007",
                f"`{printable(operation.name)}` has {len(operation.operands)} operands and {len(types)} operand types",
                operation.span,
            )
        values = []
        for name, stated in zip(operation.operands, types, strict=True):
            value = self._values.get(name.text)
            if value is None:
                known = did_you_mean(name.text, list(self._values)) if len(self._values) < 1000 else None
                fail(
                    "MN1005",
                    f"`{printable(name.text)}` is not defined above",
                    name.span,
                    f"did you mean `{known}`?" if known else "used here",
                )
            if value.type != stated:
                fail(
                    "MN1008",
                    f"`{printable(name.text)}` is a {type_text(value.type)}, not a {type_text(stated)}",
                    name.span,
                    also=(Label(self._defined[name.text], "defined here"),),
                )
            values.append(value)
        return values

    def _operation(self, operation: Operation) -> Op:
        prefix, _, opcode = operation.name.partition(".")
        kind = OPERATIONS.get(opcode) if prefix == "mnet" else None
        if kind is None:
            known = [f"mnet.{name}" for name in OPERATIONS]
            fail(
                "MN1004",
                f"there is no operation `{printable(operation.name)}`",
                operation.span,
                meant(operation.name, known, "unknown"),
            )
        if operation.regions or operation.result is None or len(operation.type[1]) != 1:
            fail("MN1007", f"`{operation.name}` must have one result and no region", operation.span)
        values = self._operands(operation)
        attributes = dict(operation.attributes.items)
        groups = _groups(kind, operation, values, attributes.pop(SEGMENTS, None))
        _refuse_others(operation, attributes, [definition.name for definition in kind.attribute_defs])
        plain = {name: content.plain(attribute) for name, attribute in attributes.items()}
        for definition in kind.attribute_defs:
            if definition.name not in plain and definition.default is None:
                fail("MN1006", f"`{operation.name}` needs the attribute `{definition.name}`", operation.span)
        stated = operation.type[1][0]
        location = self._locations.resolve(operation.location)
        try:
            op = kind(groups, plain, location, None if stated.quantization is None else stated.storage)
        except ShapeError as problem:
            fail("MN1008", problem.message, operation.span)
        if op.type != stated:
            fail(
                "MN1008",
                f"`{operation.name}` gives {type_text(op.type)}, not {type_text(stated)}",
                operation.span,
            )
        self._define(operation.result, op.result)
        self.spans[op] = operation.span
        return op


def _groups(
    kind: type[Op], operation: Operation, values: list[Value], segments: Attribute | None
) -> dict[str, OperandArgument]:
    """The operands by declared name. Segments may be left out where every operand is one value."""
    definitions = kind.operand_defs
    if segments is None:
        sizes = [1] * len(definitions)
        if any(definition.optional or definition.variadic for definition in definitions):
            names = ", ".join(definition.name for definition in definitions)
            fail(
                "MN1007",
                f"`{operation.name}` needs `{SEGMENTS}`, the number of values of each of {names}",
                operation.span,
            )
    else:
        sizes = content.sizes(segments)
    fits = len(sizes) == len(definitions) and sum(sizes) == len(values)
    for definition, size in zip(definitions, sizes, strict=False):
        fits = fits and (definition.variadic or size == 1 or (definition.optional and size == 0))
    if not fits:
        wanted = ", ".join(
            definition.name + ("…" if definition.variadic else "?" if definition.optional else "")
            for definition in definitions
        )
        fail(
            "MN1007",
            f"`{operation.name}` takes ({wanted}), got {len(values)} values in groups of {sizes}",
            operation.span if segments is None else segments.span,
        )
    groups: dict[str, OperandArgument] = {}
    rest = iter(values)
    for definition, size in zip(definitions, sizes, strict=True):
        groups[definition.name] = [next(rest) for _ in range(size)]
    return groups
