"""A token that the grammar does not take, with all that its explanation needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from lark import Token

from mnetdsl import resources
from mnetdsl.source import SourceFile, Span

OPENING = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSING = {closing: opening for opening, closing in OPENING.items()}
_ITEM = re.compile(
    r"(?:///[^\n]*\n\s*){0,200}(?:(?:block|model)\s+\w+\s*\(|deploy\s+\w+\s+of\b|use\s+(?:\"|\w+\.\w|\w+\s*\{))"
)
_STATEMENT = re.compile(
    r"input\s+\w+\s*:|output\s+\w+\s*=|table\s+\w+\s*\{|for\s+\w+\s+in\b|if\b[^\n=]*\{|(?:return|assert)\b(?!\s*=[^=])"
)


@lru_cache(maxsize=1)
def _terminal_names() -> dict[str, str]:
    names: dict[str, str] = json.loads(resources.grammar_text("terminals.json"))
    return names


def people(terminal: str) -> str:
    """What a terminal is called in a message; keywords are called by their own text."""
    return _terminal_names().get(terminal, f"`{terminal.lower()}`")


def described(token: Token) -> str:
    """The token as the subject of a sentence."""
    if token.type in ("_NEWLINE", "$END"):
        return people(token.type)
    return f"`{token}`" if len(token) <= 30 else people(token.type)


def token_span(source: SourceFile, token: Token) -> Span:
    start = token.start_pos or 0
    return Span(source, start, start + max(len(token), 1))


def indentation(source: SourceFile, token: Token) -> int:
    """Columns in front of the first word of the line of `token`."""
    text = source.line_text(source.position(token.start_pos or 0)[0])
    return len(text) - len(text.lstrip())


def starts_line(source: SourceFile, token: Token) -> bool:
    """Whether nothing but space stands in front of `token` on its line."""
    place = (token.start_pos or 0) - 1
    while place >= 0 and source.text[place] in " \t":
        place -= 1
    return place < 0 or source.text[place] == "\n"


def open_brackets(tokens: Iterable[object]) -> list[Token]:
    """Brackets and braces among `tokens` that are not closed there, outermost first."""
    still_open: list[Token] = []
    for token in tokens:
        if isinstance(token, Token) and token.type in OPENING:
            still_open.append(token)
        elif isinstance(token, Token) and token.type in CLOSING and still_open:
            still_open.pop()
    return still_open


def construct_at(source: SourceFile, token: Token) -> str | None:
    """`item` or `statement` where one unmistakably begins with `token`, which stands first on its line."""
    if not starts_line(source, token):
        return None
    if _ITEM.match(source.text, token.start_pos or 0):
        return "item"
    return "statement" if _STATEMENT.match(source.text, token.start_pos or 0) else None


@dataclass(frozen=True)
class Unexpected:
    """A token that the grammar does not take where it stands, and what the parser knew there."""

    source: SourceFile
    token: Token
    previous: Token | None
    """The last token in front of it that was accepted, line ends left out."""
    expected: frozenset[str]
    """Terminals that could have stood here."""
    open: tuple[Token, ...]
    """Brackets and braces that were open, outermost first."""
    doubtful: tuple[Token, Token] | None
    """The first `{` and `}` that belong together by count but not by their indentation."""

    outside: bool
    """Whether something of an outer level unmistakably begins here."""

    @property
    def span(self) -> Span:
        return token_span(self.source, self.token)

    @property
    def parts(self) -> tuple[Token, Token | None, Span, SourceFile, frozenset[str], tuple[Token, ...]]:
        """Token, previous one, span, source, expected terminals and open brackets, for those who look at all."""
        return self.token, self.previous, self.span, self.source, self.expected, self.open

    @property
    def line_before(self) -> str:
        """What stands in front of the token on its line."""
        line, column = self.source.position(self.token.start_pos or 0)
        return self.source.line_text(line)[: column - 1]

    @property
    def text_behind(self) -> str:
        """What stands behind the token, up to some fifty characters."""
        end = self.span.end if str(self.token) else self.span.start
        return self.source.text[end : end + 50]

    def innermost(self) -> Token | None:
        return self.open[-1] if self.open else None

    def starts_line(self, token: Token) -> bool:
        return starts_line(self.source, token)
