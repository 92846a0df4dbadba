"""Tokens of MLIR generic form, cut from the text on demand, and the errors of the reader."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from mnetdsl.diagnostics import Label, MnetError, error
from mnetdsl.source import SourceFile, Span

MAX_CHARACTERS = 8 << 20
"""Of one text; MobileNetV2 has a tenth of a million."""

MAX_TOKENS = 2_000_000
"""Of one text; MobileNetV2 has twenty thousand."""


class Kind(Enum):
    """Kinds of token; the value is what people call them."""

    STRING = "a string"
    VALUE = "a value such as `%0`"
    BLOCK = "a block such as `^bb0`"
    ALIAS = "an alias such as `#loc1`"
    DIALECT_TYPE = "a type such as `!quant.uniform`"
    NAME = "a name"
    FLOAT = "a float"
    HEXADECIMAL = "a hexadecimal number"
    INTEGER = "an integer"
    PUNCTUATION = "punctuation"
    END = "the end of the text"


# Possessive quantifiers: no backtracking, whose memory grows with the length of a string or a run of blanks.
_TOKEN = re.compile(
    r"""
      (?P<STRING>"(?:[^"\\\n\v\f]++|\\["\\nt]|\\[0-9a-fA-F]{2})*+")
    | (?P<VALUE>%(?:[0-9]+|[A-Za-z_$.-][A-Za-z0-9_$.-]*))
    | (?P<BLOCK>\^(?:[0-9]+|[A-Za-z_$.-][A-Za-z0-9_$.-]*))
    | (?P<ALIAS>\#[A-Za-z_][A-Za-z0-9_$.]*)
    | (?P<DIALECT_TYPE>![A-Za-z_][A-Za-z0-9_$.]*)
    | (?P<NAME>[A-Za-z_][A-Za-z0-9_$.]*)
    | (?P<FLOAT>-?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?)
    | (?P<HEXADECIMAL>0x[0-9a-fA-F]+)
    | (?P<INTEGER>-?[0-9]+)
    | (?P<PUNCTUATION>->|[(){}<>\[\],:=])
    """,
    re.VERBOSE,
)
_BLANK = re.compile(r"(?:[ \t\r\n]++|//[^\n]*+)*+")
_SHAPE = re.compile(r"[ \t]*((?:[0-9]++[ \t]*+x[ \t]*+)*+)")


@dataclass(frozen=True)
class Token:
    kind: Kind
    text: str
    span: Span


def fail(code: str, message: str, at: Span, label: str = "", help: str = "", also: tuple[Label, ...] = ()) -> NoReturn:
    """Raises the one error that reading stops at."""
    raise MnetError(error(code, message, at=at, label=label, help=help, also=also)) from None


class Lexer:
    """Reads one token ahead."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        if len(source.text) > MAX_CHARACTERS:
            fail(
                "MN1003",
                f"the IR text has {len(source.text)} characters, more than {MAX_CHARACTERS}",
                Span(source, 0, 0),
                help="weights do not belong in the text; they stay in a file of their own beside it",
            )
        self._offset = 0
        self._tokens = 0
        self.token = self._scan()

    def advance(self) -> Token:
        """The current token, stepping behind it."""
        token = self.token
        self._offset = token.span.end
        self.token = self._scan()
        return token

    def advance_shape(self) -> tuple[list[str], Span]:
        """The sizes of `1x96x96x` behind the current token, as written, stepping behind both.

        MLIR reads `1x96xf32` as sizes and an element type though `x96xf32` has the form of a name.
        """
        start = self.token.span.end
        match = _SHAPE.match(self.source.text, start)
        assert match is not None
        self._offset = match.end()
        self.token = self._scan()
        return re.findall("[0-9]+", match[1]), Span(self.source, start, match.end())

    def _scan(self) -> Token:
        text = self.source.text
        blank = _BLANK.match(text, self._offset)
        start = blank.end() if blank else self._offset
        match = _TOKEN.match(text, start)
        if match is not None:
            self._tokens += 1
            if self._tokens > MAX_TOKENS:
                at = Span(self.source, start, match.end())
                fail("MN1003", f"the IR text has more than {MAX_TOKENS} names, numbers and signs", at)
            return Token(Kind[str(match.lastgroup)], match[0], Span(self.source, start, match.end()))
        if start >= len(text):
            return Token(Kind.END, "", Span(self.source, start, start))
        at = Span(self.source, start, start + 1)
        if text[start] == '"':
            fail(
                "MN1001",
                "this string does not end, or has an escape that is none",
                at,
                "starts here",
                help='a string ends on its line; escapes are `\\"`, `\\\\`, `\\n`, `\\t` and two hexadecimal digits',
            )
        fail("MN1001", f"`{printable(text[start])}` has no meaning in IR text", at)


def printable(text: str) -> str:
    """`text`, shortened and with odd characters escaped, for a message."""
    shown = text if len(text) <= 40 else text[:37] + "..."
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in shown)
