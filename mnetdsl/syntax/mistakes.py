"""What a syntax error most likely is: the message, the label and what to type instead."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lark import Token

from mnetdsl.diagnostics import Diagnostic, Label, error
from mnetdsl.diagnostics.suggest import did_you_mean, meant
from mnetdsl.source import SourceFile, Span
from mnetdsl.syntax import ast
from mnetdsl.syntax.foreign import bad_token, foreign
from mnetdsl.syntax.unexpected import (
    CLOSING,
    OPENING,
    Unexpected,
    described,
    indentation,
    people,
    token_span,
)

OPERATORS = {"PLUS", "MINUS", "STAR", "SLASH", "POWER", "COMPARE", "AND", "OR", "IF", "DOT"}
ENDS = {"_NEWLINE", "LBRACE", "RBRACE", "RPAR", "RSQB", "COMMA"}
"""What ends an expression."""
VALUES = {"NAME", "INT", "FLOAT", "SIZE", "STRING", "TRUE", "FALSE", "MINUS", "NOT", "LPAR", "LSQB"}
"""What begins an expression."""
CONTINUATIONS = {"PLUS", "MINUS", "STAR", "SLASH", "POWER", "COMPARE", "AND", "OR", "IF", "DOT", "LSQB"}
"""What goes on with one."""
EDITIONS = ("1",)
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


def too_deep(source: SourceFile, token: Token, limit: int) -> Diagnostic:
    return error(
        "MN0110",
        f"this is nested more than {limit} levels deep",
        at=token_span(source, token),
        label="one too many",
        help="give a part of it a name: `width = …`",
    )


def diagnose(found: Unexpected) -> Diagnostic:
    """The diagnostic for the likeliest mistake behind an unexpected token."""
    for rule in (bad_token, _edition, _bracket, _layout, foreign, _statement, _operator):
        diagnostic = rule(found)
        if diagnostic is not None:
            return diagnostic
    names = _expected(found.expected)
    previous = found.previous
    after = f" behind `{previous}`" if previous is not None and previous.type not in ("STRING", "DOC") else ""
    return error(
        "MN0102",
        f"{described(found.token)} cannot stand here{after}",
        at=found.span,
        label=f"expected {_join(names)}" if 0 < len(names) <= 4 else "not expected here",
    )


def _expected(terminals: frozenset[str]) -> list[str]:
    """What could have stood there, in words; all that can begin a value is one thing."""
    rest = {name for name in terminals if name.isupper()}
    names = []
    if rest >= VALUES:
        rest -= VALUES
        names.append("a value")
    elif rest >= CONTINUATIONS and rest > CONTINUATIONS:
        rest -= CONTINUATIONS
    return names + sorted({people(name) for name in rest})


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _edition(found: Unexpected) -> Diagnostic | None:
    previous, token = found.previous, found.token
    if previous is None and "MNET" in found.expected:
        misspelt = token.type == "NAME" and did_you_mean(str(token), ("mnet",)) is not None
        return error(
            "MN0104",
            "the file does not begin with its edition",
            at=found.span,
            label="did you mean `mnet`?" if misspelt else "expected `mnet 1` before this",
            help="write `mnet 1` in the first line",
        )
    if previous is not None and previous.type == "MNET":
        return error(
            "MN0104",
            "behind `mnet` stands the edition of the language, a whole number",
            at=found.span,
            label="expected `1`",
            help="write `mnet 1` in the first line",
        )
    return None


def unknown_edition(source: SourceFile, token: Token) -> Diagnostic | None:
    """The diagnostic for an edition that this compiler does not read, or None."""
    if str(token) in EDITIONS:
        return None
    span = token_span(source, token)
    return error(
        "MN0104",
        f"edition {token if len(token) <= 20 else f'{token[:20]}…'} is not known",
        at=span,
        label="this compiler reads edition 1",
        help="write `mnet 1`; a newer compiler may read this file as it is",
    )


def _bracket(found: Unexpected) -> Diagnostic | None:
    token, span, source = found.token, found.span, found.source
    innermost = found.innermost()
    if innermost is None:
        if token.type not in CLOSING:
            return None
        return error(
            "MN0106",
            f"`{token}` closes nothing",
            at=span,
            label="no bracket is open here",
            help="remove it, or add what it should close",
        )
    if token.type == "$END":
        return _unclosed(found, innermost, "the file ends before it is closed")
    if innermost.type == "LBRACE":
        if found.outside:
            return _unclosed(found, innermost, "this begins before it is closed")
    elif token.type == "_NEWLINE":
        return _unclosed(found, innermost, "the line ends before it is closed")
    elif token.type in ("LBRACE", "RBRACE"):
        return _unclosed(found, innermost, "this stands before it is closed")
    elif str(token).isidentifier() and found.starts_line(token):
        if indentation(source, token) <= indentation(source, innermost) or "COMMA" not in found.expected:
            return _unclosed(found, innermost, "a new line begins before it is closed")
        return _missing_comma(found)
    if token.type in CLOSING and OPENING[innermost.type] != token.type:
        return error(
            "MN0105",
            f"`{innermost}` is closed by `{token}`",
            at=span,
            label=f"expected {people(OPENING[innermost.type])}",
            also=(Label(token_span(source, innermost), "opened here"),),
        )
    return None


def _unclosed(found: Unexpected, opening: Token, where: str) -> Diagnostic:
    """Blames the brace whose partner stands at another indentation, where there is one, in place of `opening`."""
    source = found.source
    also: tuple[Label, ...] = (Label(found.span, where),)
    if opening.type == "LBRACE" and found.doubtful is not None:
        opening, closing = found.doubtful
        also = (Label(token_span(source, closing), "this is taken to close it, but is not in line with it"), *also)
    return error(
        "MN0105",
        f"`{opening}` is never closed",
        at=token_span(source, opening),
        label="opened here",
        also=also,
        help=f"add {people(OPENING[opening.type])}",
    )


def _missing_comma(found: Unexpected) -> Diagnostic:
    closing = "the end of the line" if "_NEWLINE" in found.expected else people(OPENING[found.open[-1].type])
    return error("MN0118", "a comma is missing", at=found.span, label=f"expected `,` or {closing} before this")


def _layout(found: Unexpected) -> Diagnostic | None:
    """Braces, `else` and doc comments on lines where they do not belong."""
    token, span = found.token, found.span
    if token.type == "_NEWLINE" and "LBRACE" in found.expected and found.text_behind.lstrip().startswith("{"):
        brace = span.start + 1 + found.source.text[span.start + 1 :].index("{")
        return error(
            "MN0122",
            "`{` belongs on the line of what it opens",
            at=Span(found.source, brace, brace + 1),
            label="not on a line of its own",
            also=(Label(span, "put it here"),),
        )
    if token.type == "ELSE":
        return error(
            "MN0108",
            "`else` belongs behind the closing brace of its `if`",
            at=span,
            label="no `if` ends in front of this",
            help="write `} else {` on one line",
        )
    previous = found.previous
    dangling = previous is not None and previous.type == "DOC" and token.type in ("USE", "$END")
    if token.type == "DOC" or dangling:
        return error(
            "MN0109",
            "a doc comment describes a block, a model or a deploy",
            at=token_span(found.source, previous) if dangling and previous is not None else span,
            label="none begins behind this line",
            help="elsewhere use `#`",
        )
    return None


def _statement(found: Unexpected) -> Diagnostic | None:
    token, previous, span, source, expected, open = found.parts
    word = str(token)
    if token.type == "AS" and "AS" not in expected and previous is not None and not found.starts_line(token):
        named = re.match(r"as\s+([A-Za-z_][A-Za-z_0-9]*)", found.source.text[token.start_pos or 0 :])
        name = named[1] if named else "name"
        return error(
            "MN0102",
            "`as` names the layer of a statement, not a part of an expression",
            at=span,
            label="not expected here",
            help=f"give the layer a statement of its own, `y = conv2d(x, 16) as {name}`, and go on with `y`",
        )
    if (
        token.type.lower() == word
        and word in (*KEYWORDS, "as", "in", "of", "mnet", "and", "or", "not")
        and "NAME" in expected
        and previous is not None
        and not found.starts_line(token)
    ):
        if token.type in ("IN", "OF"):
            return error(
                "MN0102",
                f"a name is missing between `{previous}` and `{token}`",
                at=span,
                label="expected a name before this",
                help="write `for i in range(3) {`" if token.type == "IN" else "write `deploy NAME of MODEL {`",
            )
        return _keyword_as_name(token, span)
    if open and token.type in ("USE", "BLOCK", "MODEL", "DEPLOY") and found.starts_line(token):
        if re.match(r"\s*=[^=]", found.text_behind):
            return _keyword_as_name(token, span)
        return error(
            "MN0102",
            f"`{token}` stands outside of models and blocks",
            at=span,
            label="not inside braces",
            also=(Label(token_span(source, open[-1]), "these are open"),),
        )
    if token.type == "_NEWLINE" and expected == {"DOT", "LBRACE"}:
        return error(
            "MN0102",
            "nothing is named behind this path",
            at=span,
            label="expected `{`",
            help="write `use std.blocks { conv_bn, separable }`",
        )
    if expected == {"NAME"} and previous is not None and previous.type == "LBRACE":
        return error(
            "MN0102",
            "the table has no columns",
            at=span,
            label="expected their names before this",
            help="the first line between the braces names the columns: `channels  stride`",
        )
    if {"INPUT", "ASSERT"} <= expected:
        if token.type in VALUES:
            return error("MN0113", "the value of this expression is not used", at=span, label="nothing is done with it")
        return error("MN0102", f"{described(token)} begins no statement", at=span, label="expected a statement")
    if not open and "MODEL" in expected:
        return error(
            "MN0112",
            f"{described(token)} cannot stand outside a model or block",
            at=span,
            label=meant(word, ("use", "block", "model", "deploy"), "expected `use`, `block`, `model` or `deploy`"),
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
            help=f"give it a name: `x = {_whole(found)}`",
        )
    return None


def _whole(found: Unexpected) -> str:
    """The statement that begins with the previous token, as far as it goes on its line."""
    assert found.previous is not None
    start = found.previous.start_pos or 0
    text = found.source.text[start:].split("\n", 1)[0].partition("#")[0].strip()
    return text if len(text) <= 40 else f"{found.previous}{found.token}…"


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
    token, previous, span, source, expected, open = found.parts
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
    if token.type == "COLON" and "EQUAL" in expected and open and open[-1].type == "LBRACE":
        return error("MN0102", "a setting has `=`", at=span, label="expected `=`", help=f"write `{previous} = …`")
    if {"EQUAL", "COMMA", "RPAR"} == expected and token.type in VALUES:
        return error(
            "MN0102",
            "a default value stands behind `=`",
            at=span,
            label="expected `=` before this",
            help=f"write `{found.line_before.strip().split('(')[-1].split(',')[-1].strip()} = {token}`",
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
    if token.type == "COMPARE" and "EQUAL" in expected:
        return error("MN0114", f"`{token}` compares", at=span, help=f"a value is given by `{previous} = …`")
    if token.type in ENDS and expected & {"ELSE"} and "RPAR" not in expected and "LBRACE" not in expected:
        return error(
            "MN0102",
            "the choice has no `else`",
            at=span,
            label="expected `else` and a value",
            help="write `a if condition else b`; statements are chosen by `if condition { … }`",
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
            f"the line ends behind `{previous}`" if broken_line else f"{described(token)} follows on `{previous}`",
            at=token_span(source, previous),
            label="a value is missing behind this",
            help="an expression goes on in the next line inside parentheses only" if broken_line else "",
        )
    if {"_NEWLINE", "COMMA"} <= expected and open and not found.starts_line(token) and token.type in VALUES:
        return _missing_comma(found)
    if previous is not None and "_NEWLINE" in expected and token.type in ("NAME", "INT", "FLOAT", "STRING", "SIZE"):
        return error(
            "MN0117",
            f"{described(token)} stands behind a complete statement",
            at=span,
            label="expected the end of the line, an operator or a bracket",
            help="each statement has a line of its own; a call needs parentheses",
        )
    if expected & {"RPAR", "RSQB"} and "COMMA" in expected and token.type in VALUES:
        return _missing_comma(found)
    return None


def after_parse(file: ast.MnetFile) -> Iterator[Diagnostic]:
    """Mistakes that the grammar lets through: tables whose rows differ."""
    for item in file.items:
        if isinstance(item, ast.Block | ast.Model):
            yield from _check_body(item.body)
        elif isinstance(item, ast.Deploy):
            for table in item.tables:
                yield from _check_table(table)


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
