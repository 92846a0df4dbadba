"""Decides which line ends matter, between the terminals and the rules of the grammar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lark import Token

NEWLINE = "_NEWLINE"
OPENING = {"LPAR": "RPAR", "LSQB": "RSQB"}


def layout(tokens: Iterable[Token], end: int) -> Iterator[Token]:
    """Drops line ends inside ( ) and [ ] and behind `{` and `,`; merges several; adds one before `}` and at the end.

    An unclosed bracket ends at a `{` or `}`, so that one forgotten `)` does not swallow the rest of the file.
    """
    depth = 0
    previous = NEWLINE
    for token in tokens:
        kind = token.type
        if kind == NEWLINE:
            if depth == 0 and previous not in (NEWLINE, "LBRACE", "COMMA"):
                previous = kind
                yield token
            continue
        if kind in OPENING:
            depth += 1
        elif kind in OPENING.values():
            depth = max(depth - 1, 0)
        elif kind in ("LBRACE", "RBRACE"):
            depth = 0
            if kind == "RBRACE" and previous not in (NEWLINE, "LBRACE", "COMMA"):
                yield newline_before(token)
        previous = kind
        yield token
    if previous != NEWLINE:
        yield Token(NEWLINE, "", start_pos=end, end_pos=end)


def newline_before(token: Token) -> Token:
    """The end of a statement that `}` ends on its own line."""
    return Token(NEWLINE, "", start_pos=token.start_pos, end_pos=token.start_pos)
