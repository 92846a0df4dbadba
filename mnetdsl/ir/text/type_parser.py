"""Tensor types of IR text, and the token helpers that all parsers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

from mnetdsl.ir.text.lexer import Kind, Lexer, Token, fail, printable
from mnetdsl.ir.types import ElementType, Quantization, TensorType, type_problem
from mnetdsl.source import SourceFile, Span

Item = TypeVar("Item")
_ELEMENTS = {element.value: element for element in ElementType}
_STORAGE = _ELEMENTS | {"u8": ElementType.U8}
_MAX_DIGITS = 20


class TypeParser:
    """Token helpers and types."""

    def __init__(self, source: SourceFile) -> None:
        self._lexer = Lexer(source)

    @property
    def token(self) -> Token:
        return self._lexer.token

    def advance(self) -> Token:
        return self._lexer.advance()

    def at(self, text: str) -> bool:
        """Whether the current token is this punctuation or name."""
        return self.token.kind in (Kind.PUNCTUATION, Kind.NAME) and self.token.text == text

    def at_end(self) -> bool:
        return self.token.kind is Kind.END

    def expect(self, text: str) -> Token:
        if not self.at(text):
            self.unexpected(f"`{text}`")
        return self.advance()

    def expect_kind(self, kind: Kind) -> Token:
        if self.token.kind is not kind:
            self.unexpected(kind.value)
        return self.advance()

    def unexpected(self, wanted: str) -> NoReturn:
        token = self.token
        found = token.kind.value if token.kind is Kind.END else f"`{printable(token.text)}`"
        fail("MN1002", f"expected {wanted}, found {found}", token.span, "here")

    def separated(self, end: str, item: Callable[[], Item]) -> Iterator[Item]:
        """Items between commas up to `end`, which is stepped behind."""
        if not self.at(end):
            yield item()
            while self.at(","):
                self.advance()
                yield item()
        self.expect(end)

    def bounded(self, token: Token, lowest: int, highest: int) -> int:
        """The value of an integer token."""
        text = token.text
        digits = text.removeprefix("-").removeprefix("0x").lstrip("0") or "0"
        value = 0
        if len(digits) <= _MAX_DIGITS:
            value = int(digits, 16 if token.kind is Kind.HEXADECIMAL else 10) * (-1 if text.startswith("-") else 1)
        if len(digits) > _MAX_DIGITS or not lowest <= value <= highest:
            fail("MN1002", f"`{printable(text)}` is not between {lowest} and {highest}", token.span)
        return value

    def tensor_type(self) -> TensorType:
        """`tensor<1x96x96x3xui8>`, also with quantized elements; checked as `types.type_problem` says."""
        start = self.token.span
        if not self.at("tensor"):
            self.unexpected("a tensor type such as `tensor<1x96x96x3xf32>`")
        self.advance()
        if not self.at("<"):
            self.unexpected("`<`")
        digits, digits_span = self._lexer.advance_shape()
        if any(len(size) > _MAX_DIGITS for size in digits):
            fail("MN1008", "a size of the tensor is absurd", digits_span)
        shape = tuple(map(int, digits))
        type = TensorType(shape, *self._element())
        end = self.expect(">").span
        problem = type_problem(type)
        if problem:
            fail("MN1008", f"the tensor type {problem}", Span(start.file, start.start, end.end))
        return type

    def _element(self) -> tuple[ElementType, Quantization | None]:
        if self.token.kind is Kind.DIALECT_TYPE:
            return self._quantized()
        if self.token.kind is not Kind.NAME or self.token.text not in _ELEMENTS:
            self.unexpected(f"an element type ({', '.join(_ELEMENTS)})")
        return _ELEMENTS[self.advance().text], None

    def _quantized(self) -> tuple[ElementType, Quantization]:
        """`!quant.uniform<i8:f32, 0.5:3>` or, per index of axis 3, `!quant.uniform<i8:f32:3, {0.5:3, 0.25}>`."""
        if self.token.text != "!quant.uniform":
            self.unexpected("`!quant.uniform`, the only dialect type of elements")
        self.advance()
        self.expect("<")
        if self.token.text not in _STORAGE:
            self.unexpected(f"an integer type ({', '.join(_STORAGE)})")
        element = _STORAGE[self.advance().text]
        self.expect(":")
        self.expect("f32")
        if not self.at(":"):
            self.expect(",")
            pairs, axis = [self._scale()], None
        else:
            self.advance()
            axis = self.bounded(self.expect_kind(Kind.INTEGER), 0, 2**31 - 1)
            self.expect(",")
            self.expect("{")
            pairs = list(self.separated("}", self._scale))
        self.expect(">")
        return element, Quantization(tuple(scale for scale, _ in pairs), tuple(zero for _, zero in pairs), axis)

    def _scale(self) -> tuple[float, int]:
        scale = float(self.expect_kind(Kind.FLOAT).text)
        if not self.at(":"):
            return scale, 0
        self.advance()
        return scale, self.bounded(self.expect_kind(Kind.INTEGER), -(2**31), 2**31 - 1)
