"""What a syntax error most likely is: the message, the label and what to type instead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from lark import Token

from mnetdsl import resources
from mnetdsl.diagnostics import Diagnostic, Label, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.source import SourceFile, Span
from mnetdsl.syntax import ast

OPENING = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
OPERATORS = {"PLUS", "MINUS", "STAR", "SLASH", "POWER", "COMPARE", "AND", "OR", "IF", "DOT"}
ENDS = {"_NEWLINE", "LBRACE", "RBRACE", "RPAR", "RSQB", "COMMA"}
"""What ends an expression."""
CLOSING = {closing: opening for opening, closing in OPENING.items()}
EDITIONS = (1,)
KEYWORDS = (
    "use",
    "block",
    "model",
    "deploy",
    "input",
    "output",
    "table",
    "for",
    "if",
    "else",
    "assert",
    "return",
)
FOREIGN_WORDS = {
    "elif": "write `else if`",
    "while": "loops have a known length: `for i in range(n)`",
    "def": "a function of the language is a `block`",
    "fn": "a function of the language is a `block`",
    "func": "a function of the language is a `block`",
    "function": "a function of the language is a `block`",
    "class": "a network is a `model`",
    "import": "names of other files come in by `use std.blocks { conv_bn }`",
    "from": "names of other files come in by `use std.blocks { conv_bn }`",
    "include": 'names of other files come in by `use "file.mnet" { name }`',
    "let": "a value is given by `x = …` alone",
    "var": "a value is given by `x = …` alone",
    "const": "a value is given by `x = …` alone",
    "network": "a network is a `model`",
}
"""First words of a line in other languages -> what this one has instead."""


@lru_cache(maxsize=1)
def _terminal_names() -> dict[str, str]:
    names: dict[str, str] = json.loads(resources.grammar_text("terminals.json"))
    return names


def people(terminal: str) -> str:
    """What a terminal is called in a message; keywords are called by their own text."""
    return _terminal_names().get(terminal, f"`{terminal.lower()}`")


def at(source: SourceFile, start: int, end: int) -> Span:
    return Span(source, start, end)


def token_span(source: SourceFile, token: Token) -> Span:
    start = token.start_pos or 0
    return Span(source, start, start + max(len(token), 1))


def too_deep(source: SourceFile, token: Token, limit: int) -> Diagnostic:
    return error(
        "MN0110",
        f"this is nested more than {limit} levels deep",
        at=token_span(source, token),
        label="one too many",
        help="give a part of it a name: `width = …`",
    )


@dataclass(frozen=True)
class Unexpected:
    """A token that the grammar does not take where it stands, and what the parser knew there."""

    source: SourceFile
    token: Token
    previous: Token | None
    """The last token in front of it that was accepted, line ends left out."""
    expected: frozenset[str]
    """Terminals (and rules) that could have stood here."""
    open: tuple[Token, ...]
    """Brackets and braces that were open, outermost first."""

    @property
    def span(self) -> Span:
        return token_span(self.source, self.token)

    def innermost(self) -> Token | None:
        return self.open[-1] if self.open else None

    def starts_line(self, token: Token) -> bool:
        """Whether nothing but space stands in front of `token` on its line."""
        line, column = self.source.position(token.start_pos or 0)
        return not self.source.line_text(line)[: column - 1].strip()


def diagnose(found: Unexpected) -> Diagnostic:
    """The diagnostic for the likeliest mistake behind an unexpected token."""
    for rule in (_bad_token, _edition, _bracket, _foreign, _statement, _operator):
        diagnostic = rule(found)
        if diagnostic is not None:
            return diagnostic
    names = sorted({people(name) for name in found.expected if name.isupper() or name == "_NEWLINE"})
    previous = found.previous
    after = f" behind `{previous}`" if previous is not None and previous.type not in ("STRING", "DOC") else ""
    return error(
        "MN0102",
        f"{_described(found.token)} cannot stand here{after}",
        at=found.span,
        label=f"expected {_join(names)}" if 0 < len(names) <= 4 else "not expected here",
    )


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _described(token: Token) -> str:
    if token.type in ("_NEWLINE", "$END"):
        return people(token.type)
    return f"`{token}`" if len(token) <= 30 else people(token.type)


def _bad_token(found: Unexpected) -> Diagnostic | None:
    token, span = found.token, found.span
    if token.type == "UNTERMINATED":
        return error("MN0103", "the text in quotes does not end on its line", at=span, help='close it with `"`')
    if token.type != "UNKNOWN":
        return None
    helps = {
        ";": "a statement ends at the end of its line",
        "'": 'text stands in double quotes: "text"',
        "&": "write `and`",
        "|": "write `or`",
        "!": "write `not`",
        "@": "matrices are multiplied by `dense` or `conv2d`",
        "\\": "an expression goes on in the next line inside parentheses",
    }
    char = str(token)
    shown = f"`{char}`" if char.isprintable() else f"U+{ord(char):04X}"
    return error("MN0101", f"{shown} is no character of the language", at=span, help=helps.get(char, ""))


def _edition(found: Unexpected) -> Diagnostic | None:
    previous, span, expected = found.previous, found.span, found.expected
    if previous is not None or "MNET" not in expected:
        return None
    return error(
        "MN0104",
        "the file does not begin with its edition",
        at=span,
        label="expected `mnet 1` before this",
        help="write `mnet 1` in the first line",
    )


def _bracket(found: Unexpected) -> Diagnostic | None:
    token, span, source = found.token, found.span, found.source
    innermost = found.innermost()
    if token.type == "$END" and innermost is not None:
        return _unclosed(source, innermost, span, "the file ends before it is closed")
    if token.type in ("_NEWLINE", "LBRACE", "RBRACE") and innermost is not None and innermost.type != "LBRACE":
        return _unclosed(source, innermost, span, "this stands before it is closed")
    if innermost is not None and innermost.type != "LBRACE" and str(token).isidentifier() and found.starts_line(token):
        return _unclosed(source, innermost, span, "a new line begins before it is closed")
    if token.type in CLOSING:
        if innermost is None:
            return error(
                "MN0106",
                f"`{token}` closes nothing",
                at=span,
                label="no bracket is open here",
                help="remove it, or add what it should close",
            )
        if OPENING[innermost.type] != token.type:
            return error(
                "MN0105",
                f"`{innermost}` is closed by `{token}`",
                at=span,
                label=f"expected {people(OPENING[innermost.type])}",
                also=(Label(token_span(source, innermost), "opened here"),),
            )
    return None


def _unclosed(source: SourceFile, opening: Token, span: Span, where: str) -> Diagnostic:
    return error(
        "MN0105",
        f"`{opening}` is never closed",
        at=token_span(source, opening),
        label="opened here",
        also=(Label(span, where),),
        help=f"add {people(OPENING[opening.type])}",
    )


def _foreign(found: Unexpected) -> Diagnostic | None:
    """Words and marks of other languages."""
    token, previous, span, source = found.token, found.previous, found.span, found.source
    if token.type == "SLASH" and str(token) == "//" and found.starts_line(token):
        return error(
            "MN0107", "`//` begins no comment", at=span, help="a comment begins with `#`, a doc comment with `///`"
        )
    word = previous if token.type == "NAME" and previous is not None and previous.type == "NAME" else token
    if str(word) in FOREIGN_WORDS and (word is token or found.starts_line(word)):
        return error(
            "MN0107",
            f"`{word}` is no word of the language",
            at=token_span(source, word),
            help=FOREIGN_WORDS[str(word)],
        )
    if token.type == "ELSE":
        return error(
            "MN0108",
            "`else` belongs behind the closing brace of its `if`",
            at=span,
            label="no `if` ends in front of this",
            help="write `} else {` on one line",
        )
    if token.type == "DOC":
        return error(
            "MN0109",
            "a doc comment describes a block, a model or a deploy",
            at=span,
            label="none begins behind this line",
            help="inside a body use `#`",
        )
    return None


def _statement(found: Unexpected) -> Diagnostic | None:
    token, previous, span, source, expected, open = (
        found.token,
        found.previous,
        found.span,
        found.source,
        found.expected,
        found.open,
    )
    word = str(token)
    if (
        token.type.lower() == word
        and word in (*KEYWORDS, "as", "in", "of", "mnet", "and", "or", "not")
        and "NAME" in expected
        and previous is not None
        and not found.starts_line(token)
    ):
        return _keyword_as_name(token, span)
    if not open and "MODEL" in expected:
        suggestion = did_you_mean(word, ("use", "block", "model", "deploy"))
        return error(
            "MN0112",
            f"{_described(token)} cannot stand outside a model or block",
            at=span,
            label=f"did you mean `{suggestion}`?" if suggestion else "expected `use`, `block`, `model` or `deploy`",
            help="statements stand between the braces of a `model` or `block`",
        )
    if token.type == "LBRACE" and "COLON" not in expected and "RBRACE" not in expected and "EQUAL" in expected:
        return error("MN0102", f"`{previous}` begins no statement that has braces", at=span, label="not expected here")
    if previous is not None and "EQUAL" in expected and token.type in ("LPAR", "DOT", "_NEWLINE") and open:
        return error(
            "MN0113",
            "the value of this expression is not used",
            at=token_span(source, previous).to(span),
            label="nothing is done with it",
            help=f"give it a name: `x = {previous}{token if token.type == 'LPAR' else ''}…`",
        )
    return None


def _keyword_as_name(token: Token, span: Span) -> Diagnostic:
    return error(
        "MN0111",
        f"`{token}` is a word of the language and cannot be a name",
        at=span,
        help=f"choose another name, such as `{token}_value`",
    )


def _behind_dot(source: SourceFile, token: Token) -> bool:
    return source.text[: token.start_pos].rstrip().endswith(".")


def _operator(found: Unexpected) -> Diagnostic | None:
    token, previous, span, source, expected, open = (
        found.token,
        found.previous,
        found.span,
        found.source,
        found.expected,
        found.open,
    )
    if token.type == "EQUAL" and previous is not None and previous.type.lower() == str(previous):
        return _keyword_as_name(previous, token_span(source, previous))
    if token.type == "EQUAL" and "COLON" in expected:
        return error(
            "MN0102",
            "an input has a type",
            at=span,
            label="expected `:`",
            help="write it as `input image: u8[height, width, channels]`",
        )
    if expected == {"COLON"}:
        return error(
            "MN0102",
            f"`{previous}` has no type",
            at=span,
            label="expected `:` and a type",
            help=f"write `{previous}: tensor`, or int, float, bool, string, list, activation, symbol",
        )
    if token.type == "LPAR" and previous is not None and _behind_dot(source, previous):
        return error(
            "MN0102",
            "only a name can be called",
            at=span,
            label=f"`{previous}` is behind a dot",
            help=f"an operation takes the tensor as its argument: `{previous}(x)`; what a row holds gets a name first",
        )
    if token.type in OPERATORS and {"_NEWLINE", "LPAR", "STRING"} <= expected:
        return error(
            "MN0102",
            f"`{token}` cannot stand here behind `{previous}`",
            at=span,
            label="a cell of a table ends here",
            help="a cell that is more than one word or number stands in parentheses",
        )
    if token.type == "EQUAL":
        innermost = open[-1].type if open else ""
        if innermost == "LPAR":
            return error(
                "MN0114", "`=` cannot stand here", at=span, help="compare by `==`; an argument is `name = value`"
            )
        return error(
            "MN0114", "`=` gives a value to a name", at=span, label="no name in front of this", help="compare by `==`"
        )
    if token.type == "COMPARE" and "COMPARE" not in expected and "AND" in expected:
        return error("MN0115", "comparisons cannot be chained", at=span, help="write `a < b and b < c`")
    if token.type in ENDS and previous is not None and {"NAME", "LSQB"} <= expected:
        broken_line = token.type == "_NEWLINE"
        return error(
            "MN0116",
            f"the line ends behind `{previous}`" if broken_line else f"{_described(token)} follows on `{previous}`",
            at=token_span(source, previous),
            label="a value is missing behind this",
            help="an expression goes on in the next line inside parentheses only" if broken_line else "",
        )
    if previous is not None and "_NEWLINE" in expected and token.type in ("NAME", "INT", "FLOAT", "STRING", "SIZE"):
        return error(
            "MN0117",
            f"{_described(token)} stands behind a complete statement",
            at=span,
            label="expected the end of the line, an operator or a bracket",
            help="each statement has a line of its own; a call needs parentheses",
        )
    if "RPAR" in expected and "COMMA" in expected and token.type in ("NAME", "INT", "FLOAT", "STRING", "SIZE"):
        return error("MN0118", "a comma is missing", at=span, label="expected `,` or `)` before this")
    return None


def after_parse(file: ast.MnetFile) -> Iterator[Diagnostic]:
    """Mistakes that the grammar lets through: unknown editions, ragged tables, misplaced positional arguments."""
    if file.version not in EDITIONS:
        yield error(
            "MN0104",
            f"edition {file.version} is not known",
            at=Span(file.source, file.span.start, file.span.start + len(f"mnet {file.version}")),
            help="this compiler reads edition 1: `mnet 1`",
        )
    for item in file.items:
        if isinstance(item, ast.Block | ast.Model):
            yield from _check_body(item.body)


def _check_body(body: tuple[ast.Statement, ...]) -> Iterator[Diagnostic]:
    for statement in body:
        match statement:
            case ast.Table():
                yield from _check_table(statement)
            case ast.For():
                yield from _check_body(statement.body)
            case ast.If():
                yield from _check_body(statement.then)
                yield from _check_body(statement.otherwise)
            case _:
                pass


def _cells(row: ast.TableRow) -> str:
    return f"{len(row.cells)} cell{'s'[: len(row.cells) != 1]}"


def _check_table(table: ast.Table) -> Iterator[Diagnostic]:
    for row in table.rows:
        if len(row.cells) != len(table.columns):
            yield error(
                "MN0119",
                f"this row has {_cells(row)}, table `{table.name.text}` has {len(table.columns)} columns",
                at=row.span,
                label=_cells(row),
                also=(Label(table.columns[0].span.to(table.columns[-1].span), f"{len(table.columns)} columns"),),
                help="a cell that is more than one word or number stands in parentheses",
            )
