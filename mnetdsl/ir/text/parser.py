"""Recursive descent over MLIR generic form: operations, regions and their limits. Parts of an operation are
parsed by `attributes` and `type_parser`."""

from __future__ import annotations

from mnetdsl.ir.text.attributes import AttributeParser
from mnetdsl.ir.text.lexer import Kind, fail, printable
from mnetdsl.ir.text.tree import BlockArgument, Dictionary, File, LocationNode, Operation, Region, ValueName
from mnetdsl.ir.types import TensorType
from mnetdsl.source import SourceFile

MAX_OPERATIONS = 50_000
MAX_REGION_DEPTH = 4


class Parser(AttributeParser):
    """Parses one file. Raises `MnetError` (MN1001 to MN1003) at the first thing that does not fit."""

    def __init__(self, source: SourceFile) -> None:
        super().__init__(source)
        self._operations = 0

    def file(self) -> File:
        aliases: dict[str, LocationNode] = {}
        self._aliases(aliases)
        if self.at_end():
            fail("MN1009", "the IR text holds no module", self.token.span, help='it starts with `"builtin.module"()`')
        operation = self._operation(0)
        self._aliases(aliases)
        if not self.at_end():
            self.unexpected("the end of the text")
        return File(operation, aliases)

    def _aliases(self, aliases: dict[str, LocationNode]) -> None:
        while self.token.kind is Kind.ALIAS:
            token = self.advance()
            if token.text in aliases:
                fail("MN1005", f"`{printable(token.text)}` is defined twice", token.span, "the second one")
            self.expect("=")
            aliases[token.text] = self.location()

    def _operation(self, depth: int) -> Operation:
        self._operations += 1
        if self._operations > MAX_OPERATIONS:
            fail("MN1003", f"the IR text has more than {MAX_OPERATIONS} operations", self.token.span)
        result = None
        if self.token.kind is Kind.VALUE:
            result = self._value()
            self.expect("=")
        if self.token.kind is not Kind.STRING:
            self.unexpected('an operation in generic form, such as `"mnet.relu"(%0)`')
        span = self.token.span
        name = self.string()
        operands = self._operands()
        properties = self._properties()
        regions = self._regions(depth) if self.at("(") else ()
        attributes = self._joined(properties, self.dictionary() if self.at("{") else Dictionary({}, {}))
        self.expect(":")
        types = self._types(), self._results()
        location = self.location() if self.at("loc") else None
        return Operation(span, name, result, operands, regions, attributes, types, location)

    def _value(self) -> ValueName:
        token = self.expect_kind(Kind.VALUE)
        return ValueName(token.span, token.text)

    def _operands(self) -> tuple[ValueName, ...]:
        self.expect("(")
        return tuple(self.separated(")", self._value))

    def _properties(self) -> Dictionary:
        if not self.at("<"):
            return Dictionary({}, {})
        self.advance()
        properties = self.dictionary()
        self.expect(">")
        return properties

    def _joined(self, left: Dictionary, right: Dictionary) -> Dictionary:
        for name in right.items:
            if name in left.items:
                fail("MN1006", f"`{printable(name)}` is given twice", right.spans[name], "the second one")
        return Dictionary(left.items | right.items, left.spans | right.spans)

    def _types(self) -> tuple[TensorType, ...]:
        self.expect("(")
        return tuple(self.separated(")", self.tensor_type))

    def _results(self) -> tuple[TensorType, ...]:
        self.expect("->")
        return self._types() if self.at("(") else (self.tensor_type(),)

    def _regions(self, depth: int) -> tuple[Region, ...]:
        if depth >= MAX_REGION_DEPTH:
            fail("MN1003", f"regions are nested more than {MAX_REGION_DEPTH} deep", self.token.span)
        self.expect("(")
        return tuple(self.separated(")", lambda: self._region(depth)))

    def _region(self, depth: int) -> Region:
        span = self.token.span
        self.expect("{")
        arguments: tuple[BlockArgument, ...] = ()
        if self.token.kind is Kind.BLOCK:
            self.advance()
            if self.at("("):
                self.advance()
                arguments = tuple(self.separated(")", self._block_argument))
            self.expect(":")
        operations = []
        while not self.at("}"):
            if self.token.kind is Kind.BLOCK:
                fail("MN1009", "a graph is a single block", self.token.span, "a second block starts here")
            operations.append(self._operation(depth + 1))
        self.advance()
        return Region(span, arguments, tuple(operations))

    def _block_argument(self) -> BlockArgument:
        name = self._value()
        self.expect(":")
        type = self.tensor_type()
        return BlockArgument(name, type, self.location() if self.at("loc") else None)
