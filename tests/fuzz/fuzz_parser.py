"""Fuzzes parser, checker and formatter: whatever text comes in, nothing but a diagnostic may come out.

    python -m tests.fuzz.fuzz_parser --seconds 600 [--seed 1]

Mutates programs of the project and random ones. A text that raises anything but `MnetError`, takes longer than
`SLOW` seconds, or formats to something of another meaning is written to `build/fuzz/` and ends the run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from random import Random

from mnetdsl.diagnostics import MnetError
from mnetdsl.diagnostics.structured import as_json, as_sarif
from mnetdsl.diagnostics.text import render
from mnetdsl.sema import check_text
from mnetdsl.source import SourceFile
from mnetdsl.syntax.formatter import format_source
from tests.fuzz.session import ROOT, fuzz
from tests.syntax.programs import ProgramMaker

SLOW = 20.0
MAX_LENGTH = 4000
SNIPPETS = (
    *("{", "}", "(", ")", "[", "]", ",", ":", "=", "==", "**", "//", "///", "#", '"', "\n", " ", "\t", "\r\n", "\0"),
    *("mnet 1", "use std.blocks { conv_bn }", "for i in range(9) {", "if true {", "} else {", "repeat", " as a", "64K"),
    *("10 ** 60", "1e308 * 10", "-1", "0", "[0] * 9", "x = x", "return x", "input a: u8[1]", "block", "model", "not"),
    *("\ufeff", "é", "幅", "\u202e", "9" * 500, "(" * 200, "a." * 200, "- " * 500, "[" * 90 + "]" * 90, "not " * 300),
)


def seeds() -> list[str]:
    paths = [*ROOT.glob("examples/**/*.mnet"), *ROOT.glob("mnetdsl/std/*.mnet")]
    paths += [*ROOT.glob("tests/diagnostics/cases/*.mnet"), *ROOT.glob("tests/syntax/found/*.mnet")]
    return [path.read_text(encoding="utf-8") for path in sorted(paths)]


def mutate(text: str, random: Random, others: list[str]) -> str:
    for _ in range(random.randint(1, 6)):
        start = random.randint(0, len(text))
        end = min(len(text), start + random.choice((0, 1, 1, 3, 10, 60)))
        kind = random.randrange(5)
        if kind == 0:
            text = text[:start] + text[end:]
        elif kind == 1:
            text = text[:start] + random.choice(SNIPPETS) + text[end:]
        elif kind == 2:
            text = text[:end] + text[start:end] * random.randint(1, 3) + text[end:]
        elif kind == 3:
            other = random.choice(others)
            cut = random.randint(0, len(other))
            text = text[:start] + other[cut : cut + random.randint(1, 80)] + text[end:]
        else:
            text = text[:start] + chr(random.choice((random.randrange(128), random.randrange(0x3000)))) + text[end:]
    return text[:MAX_LENGTH]


def try_text(text: str) -> bool:
    """Raises whatever is wrong with how `text` is treated; whether it has no mistakes."""
    begin = time.process_time()
    diagnostics = check_text(text)
    render(diagnostics, color=True)
    as_json(diagnostics)
    as_sarif(diagnostics)
    try:
        once = format_source(SourceFile("net.mnet", text))
    except MnetError:
        once = ""
    if once and format_source(SourceFile("net.mnet", once)) != once:
        raise AssertionError("formatting twice changes the text")
    if time.process_time() - begin > SLOW:
        raise AssertionError(f"took {time.process_time() - begin:.1f} s")
    return not diagnostics


def texts(random: Random, seed: int) -> Iterator[bytes]:
    corpus = seeds()
    while True:
        base = random.choice(corpus) if random.random() < 0.6 else ProgramMaker(random).program()
        yield mutate(base, random, corpus).encode()


def try_bytes(data: bytes) -> bool:
    try:
        return try_text(data.decode())
    except MnetError:
        return False


if __name__ == "__main__":
    sys.exit(fuzz(__doc__, "parser.mnet", texts, try_bytes))
