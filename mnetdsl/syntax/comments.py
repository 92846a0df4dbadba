"""Comments of a file, which the grammar drops and the formatter puts back."""

from __future__ import annotations

from dataclasses import dataclass

from lark import Token

from mnetdsl.source import SourceFile
from mnetdsl.syntax.parser import lex_with_comments


@dataclass(frozen=True)
class Comment:
    """`text` with its `#`; `own_line` where nothing but space stands in front of it."""

    text: str
    offset: int
    line: int
    own_line: bool


def comments(source: SourceFile) -> list[Comment]:
    """All `#` comments in the order of the text."""
    return [_comment(source, token) for token in lex_with_comments(source) if token.type == "COMMENT"]


def _comment(source: SourceFile, token: Token) -> Comment:
    offset = token.start_pos or 0
    line, column = source.position(offset)
    before = source.line_text(line)[: column - 1]
    return Comment(str(token).rstrip(), offset, line, not before.strip())
