"""Characters, numbers, texts, words and marks that other languages have and this one has not."""

from __future__ import annotations

import re
import unicodedata

from lark import Token

from mnetdsl.diagnostics import Diagnostic, error
from mnetdsl.source import Span
from mnetdsl.syntax.build import ESCAPES
from mnetdsl.syntax.unexpected import Unexpected, token_span

WORDS = {
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
CONDITIONS = ("elif", "while")
"""Those of them behind which a parenthesis begins no call."""
CHARACTERS = {
    ";": "a statement ends at the end of its line",
    "'": 'text stands in double quotes: "text"',
    "`": 'text stands in double quotes: "text"',
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`",
    "^": "a power is written `a ** b`",
    "?": "a choice is written `a if condition else b`",
    "@": "matrices are multiplied by `dense` or `conv2d`",
    "$": "a parameter is used by its name alone",
    "\\": "an expression goes on in the next line inside parentheses",
    "\r": "save the file with the line ends of Unix or Windows: a carriage return alone ends no line",
    **dict.fromkeys("“”„‟«»‹›‘’‚", 'text stands in straight double quotes: "text"'),
    **dict.fromkeys("−–—", "write `-`"),
    **dict.fromkeys("×·∗", "write `*`"),
    "÷": "write `/`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "²": "write `** 2`",
    "α": "write `alpha`",
}
ESCAPE = re.compile(r"\\.")


def bad_token(found: Unexpected) -> Diagnostic | None:
    """What is no token of the language at all."""
    token, span = found.token, found.span
    if token.type == "UNTERMINATED":
        return error("MN0103", "the text in quotes does not end on its line", at=span, help='close it with `"`')
    if token.type == "BAD_ESCAPE":
        return _escape(str(token), span)
    if token.type == "BAD_NUMBER":
        return _number(str(token), span)
    if token.type == "DOT" and "INT" in found.expected and re.match(r"[0-9]", found.text_behind):
        digits = re.match(r"[0-9]+", found.text_behind)
        assert digits is not None
        return _number(f".{digits[0]}", Span(span.file, span.start, span.end + len(digits[0])))
    if token.type != "UNKNOWN":
        return None
    char = str(token)
    return error("MN0101", f"{_shown(char)} is no character of the language", at=span, help=_instead_of(char))


def _shown(char: str) -> str:
    if char.isprintable():
        return f"`{char}`"
    name = unicodedata.name(char, "").lower()
    return f"U+{ord(char):04X}{f' ({name})' if name else ''}"


def _instead_of(char: str) -> str | tuple[str, ...]:
    if char in CHARACTERS:
        return CHARACTERS[char]
    if unicodedata.category(char) == "Zs":
        return "put an ordinary space there"
    if char.isalnum():
        return "names are made of the letters a to z and A to Z, digits and `_`"
    return () if char.isprintable() else "remove it"


def _escape(text: str, span: Span) -> Diagnostic:
    escape = next(match for match in ESCAPE.finditer(text) if match[0][1] not in ESCAPES)
    return error(
        "MN0120",
        f"`{escape[0]}` stands for nothing in a text",
        at=Span(span.file, span.start + escape.start(), span.start + escape.end()),
        help='a backslash is written `\\\\`; the others are `\\"`, `\\n` and `\\t`',
    )


def _number(text: str, span: Span) -> Diagnostic:
    return error("MN0121", f"`{text}` is not a number", at=span, help=_number_help(text))


def _number_help(text: str) -> str:
    prefixed = re.fullmatch(r"0([xXbBoO])([0-9A-Fa-f_]{1,16})", text)
    if prefixed is not None:
        try:
            return f"numbers are decimal: write `{int(text, 0)}`"
        except ValueError:
            return "numbers are decimal"
    size = re.fullmatch(r"([0-9]+)([kKmM])(i?[bB])?", text)
    if size is not None:
        return f"a size is written `{size[1]}{size[2].upper()}`: K is 1024, M is 1024 * 1024"
    if re.fullmatch(r"[0-9_]+", text):
        return f"write `{text.replace('_', '')}`"
    if re.fullmatch(r"[0-9]+\.", text):
        return f"write `{text}0`"
    if re.fullmatch(r"\.[0-9]+", text):
        return f"write `0{text}`"
    if ".." in text:
        return "whole numbers from a to b are `range(a, b)`"
    if re.fullmatch(r"[0-9.]+[eE]", text):
        return f"digits are missing: `{text}-3`"
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?[fF]", text):
        return f"write `{text[:-1]}`"
    if re.fullmatch(r"[0-9]+(x[0-9]+)+", text):
        return f"a product is written `{text.replace('x', ' * ')}`"
    if re.fullmatch(r"[0-9]+[A-Za-z_][A-Za-z_0-9]*", text):
        return "a name begins with a letter; a product is written with `*`"
    return "numbers are written `3`, `0.5`, `1e-3`, `64K` and `1M`"


def foreign(found: Unexpected) -> Diagnostic | None:
    """Words and marks of other languages."""
    return _comment(found) or _mark(found) or _word(found)


def _comment(found: Unexpected) -> Diagnostic | None:
    token = found.token
    if token.type == "SLASH" and str(token) == "//" and found.starts_line(token):
        place, mark = found.span, "//"
    elif token.type == "BLOCK_COMMENT" or (str(token) == "/" and found.text_behind.startswith("*")):
        place, mark = Span(found.source, found.span.start, found.span.start + 2), "/*"
    elif (behind := re.search(r"//\s*[A-Za-z]+$", found.line_before.rstrip())) and token.type == "NAME":
        start = found.span.start - len(found.line_before) + behind.start()
        place, mark = Span(found.source, start, start + 2), "//"
    else:
        return None
    return error(
        "MN0107", f"`{mark}` begins no comment", at=place, help="a comment begins with `#`, a doc comment with `///`"
    )


def _mark(found: Unexpected) -> Diagnostic | None:
    """`+=`, `++`, `:=` behind a name that begins a statement; arrows."""
    token, previous, span = found.token, found.previous, found.span
    around = found.source.text[max(span.start - 1, 0) : span.end + 1]
    arrow = re.search("[-=]>", around) if str(token) in ("-", "=", ">") else None
    if arrow is not None:
        start = max(span.start - 1, 0) + arrow.start()
        return error(
            "MN0107",
            f"`{arrow[0]}` is no operator of the language",
            at=Span(found.source, start, start + 2),
            help="a block has no result type: its values are what `return` names",
        )
    if previous is None or "EQUAL" not in found.expected or "COMMA" not in found.expected:
        return None
    if token.type in ("PLUS", "MINUS", "STAR", "SLASH", "POWER", "COLON"):
        if found.text_behind.startswith("="):
            mark, value = f"{token}=", "…" if token.type == "COLON" else f"{previous} {token} …"
        elif token.type in ("PLUS", "MINUS") and found.text_behind.startswith(str(token)):
            mark, value = f"{token}{token}", f"{previous} {token} 1"
        else:
            return None
        return error(
            "MN0107",
            f"`{mark}` is no operator of the language",
            at=Span(found.source, span.start, span.start + len(mark)),
            help=f"write `{previous} = {value}`",
        )
    return None


def _word(found: Unexpected) -> Diagnostic | None:
    token, previous = found.token, found.previous
    word: Token = token
    if previous is not None and previous.type == "NAME":
        condition = token.type == "LPAR" and str(previous) in CONDITIONS
        word = previous if token.type == "NAME" or condition else token
    if str(word) not in WORDS or not (word is token or found.starts_line(word)):
        return None
    return error(
        "MN0107",
        f"`{word}` is no word of the language",
        at=token_span(found.source, word),
        help=WORDS[str(word)],
    )
