"""Attributes, locations and function types of IR text."""

from __future__ import annotations

from mnetdsl.ir.text.lexer import Kind, fail, printable
from mnetdsl.ir.text.literals import float_of_bits, unquote
from mnetdsl.ir.text.tree import Attribute, Dictionary, FunctionType, LocationNode
from mnetdsl.ir.text.type_parser import TypeParser

MAX_NESTING = 8
"""Of lists and dictionaries in an attribute; ours have three levels."""

MAX_LINE = 2**32 - 1


class AttributeParser(TypeParser):
    """Attributes by their first token."""

    def dictionary(self, depth: int = 0) -> Dictionary:
        items: dict[str, Attribute] = {}
        spans = {}
        self.expect("{")
        while not self.at("}"):
            span = self.token.span
            if self.token.kind is Kind.STRING:
                name = self.string()
            elif self.token.kind is Kind.NAME:
                name = self.advance().text
            else:
                self.unexpected("the name of an attribute")
            if name in items:
                fail("MN1006", f"`{printable(name)}` is given twice", span, "the second one")
            self.expect("=")
            items[name] = self._attribute(depth + 1)
            spans[name] = span
            if not self.at("}"):
                self.expect(",")
        self.advance()
        return Dictionary(items, spans)

    def _attribute(self, depth: int) -> Attribute:
        token = self.token
        if depth > MAX_NESTING:
            fail("MN1003", f"attributes are nested more than {MAX_NESTING} deep", token.span)
        match token.kind:
            case Kind.STRING:
                return Attribute(token.span, self.string())
            case Kind.INTEGER | Kind.HEXADECIMAL | Kind.FLOAT:
                return Attribute(token.span, self._number())
        match token.text:
            case "true" | "false":
                return Attribute(token.span, self.advance().text == "true")
            case "[":
                self.advance()
                return Attribute(token.span, tuple(self.separated("]", lambda: self._attribute(depth + 1))))
            case "{":
                return Attribute(token.span, self.dictionary(depth))
            case "array":
                return self._dense_array()
            case "tensor":
                return Attribute(token.span, self.tensor_type())
            case "(":
                return Attribute(token.span, self._function_type())
            case "loc":
                return Attribute(token.span, self.location())
        if token.kind is Kind.ALIAS:
            return Attribute(token.span, LocationNode(token.span, alias=self.advance().text))
        self.unexpected("an attribute: a number, string, list, type or location")

    def _number(self) -> int | float:
        token = self.advance()
        suffix = "f64" if token.kind is Kind.FLOAT else "i64"
        if self.at(":"):
            self.advance()
            if not (self.at("f64") or (self.at("i64") and token.kind is not Kind.FLOAT)):
                self.unexpected("`i64` or `f64`, the types of our numbers")
            suffix = self.advance().text
        if token.kind is Kind.FLOAT:
            return float(token.text)
        if suffix == "i64":
            return self.bounded(token, -(2**63), 2**63 - 1)
        if token.kind is not Kind.HEXADECIMAL:
            fail(
                "MN1002",
                f"`{printable(token.text)}` is no float",
                token.span,
                help="a float has a decimal point: `2.0`",
            )
        return float_of_bits(self.bounded(token, 0, 2**64 - 1))

    def _dense_array(self) -> Attribute:
        """`array<i32: 1, 1, 0>`; only integers are written so."""
        span = self.advance().span
        self.expect("<")
        if not (self.at("i32") or self.at("i64")):
            self.unexpected("`i32` or `i64`")
        bits = int(self.advance().text[1:])
        items: list[Attribute] = []
        if self.at(":"):
            self.advance()
            while True:
                token = self.expect_kind(Kind.INTEGER)
                value = self.bounded(token, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
                items.append(Attribute(token.span, value))
                if not self.at(","):
                    break
                self.advance()
        self.expect(">")
        return Attribute(span, tuple(items))

    def _function_type(self) -> FunctionType:
        self.expect("(")
        inputs = tuple(self.separated(")", self.tensor_type))
        self.expect("->")
        if not self.at("("):
            return FunctionType(inputs, (self.tensor_type(),))
        self.advance()
        return FunctionType(inputs, tuple(self.separated(")", self.tensor_type)))

    def location(self) -> LocationNode:
        """`loc(unknown)`, `loc("file":1:2)`, `loc("name")`, `loc("name"("file":1:2))`, `loc(#alias)`."""
        self.expect("loc")
        self.expect("(")
        node = self._location_body(0)
        self.expect(")")
        return node

    def _location_body(self, depth: int) -> LocationNode:
        token = self.token
        if token.kind is Kind.ALIAS:
            return LocationNode(token.span, alias=self.advance().text)
        if self.at("unknown"):
            return LocationNode(self.advance().span)
        if token.kind is not Kind.STRING:
            self.unexpected('a location: `unknown`, `"file":1:2`, `"name"(…)` or an alias')
        text = self.string()
        if self.at(":"):
            return LocationNode(token.span, place=(text, self._position(), self._position()))
        if not self.at("("):
            return LocationNode(token.span, name=text)
        if depth:
            fail("MN1002", "a name inside a name: a location has one layer name and one place", token.span)
        self.advance()
        child = self._location_body(depth + 1)
        self.expect(")")
        return LocationNode(token.span, name=text, child=child)

    def _position(self) -> int:
        self.expect(":")
        return self.bounded(self.expect_kind(Kind.INTEGER), 0, MAX_LINE)

    def string(self) -> str:
        return unquote(self.expect_kind(Kind.STRING).text)
