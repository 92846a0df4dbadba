"""Decides which line ends matter, between the terminals and the rules of the grammar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lark import Token

NEWLINE = "_NEWLINE"
OPENING = {"LPAR": "RPAR", "LSQB": "RSQB"}
OUTSIDE = {"USE", "BLOCK", "MODEL", "DEPLOY", "INPUT", "OUTPUT", "TABLE", "FOR", "ASSERT", "RETURN", "DOC"}
"""What stands in no expression: at the start of a line it shows that a bracket was left open."""


class Layout:
    """Drops line ends inside ( ) and [ ] and behind `{` and `,`; merges several; adds one before `}` and at the end.

    An unclosed bracket ends at a `{` or `}` and at a line that begins with a word of no expression, so that one
    forgotten `)` does not swallow the rest of the file.
    """

    def __init__(self, tokens: Iterable[Token], end: int) -> None:
        self.depth = 0
        self._tokens = self._laid_out(tokens, end)

    def __iter__(self) -> Iterator[Token]:
        return self._tokens

    def __next__(self) -> Token:
        return next(self._tokens)

    def forget_brackets(self) -> None:
        """Lets the next line end count, whatever is open."""
        self.depth = 0

    def _laid_out(self, tokens: Iterable[Token], end: int) -> Iterator[Token]:
        previous = NEWLINE
        line_end: Token | None = None
        for token in tokens:
            kind = token.type
            if kind == NEWLINE:
                line_end = token
                if self.depth == 0 and previous not in (NEWLINE, "LBRACE", "COMMA"):
                    previous = kind
                    yield token
                continue
            if kind in OUTSIDE and self.depth and line_end is not None:
                self.depth = 0
                yield line_end
            line_end = None
            if kind in OPENING:
                self.depth += 1
            elif kind in OPENING.values():
                self.depth = max(self.depth - 1, 0)
            elif kind in ("LBRACE", "RBRACE"):
                self.depth = 0
                if kind == "RBRACE" and previous not in (NEWLINE, "LBRACE", "COMMA"):
                    yield Token(NEWLINE, "", start_pos=token.start_pos, end_pos=token.start_pos)
            previous = kind
            yield token
        if previous != NEWLINE:
            yield Token(NEWLINE, "", start_pos=end, end_pos=end)
