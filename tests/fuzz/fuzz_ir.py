"""Fuzzes the IR reader: whatever text comes in, nothing but a diagnostic or a module that verifies may come out.

    python -m tests.fuzz.fuzz_ir --seconds 600 [--seed 1]

Mutates printed modules: random ones, and networks of the zoo before and behind the float pipeline. A text that
raises anything but `MnetError`, takes too long, does not print back to what was read, or breaks a pass is written
to `build/fuzz/` and ends the run.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from random import Random

from hypothesis import HealthCheck, given, seed, settings

from mnetdsl.api import load
from mnetdsl.diagnostics import MnetError
from mnetdsl.diagnostics.structured import as_json
from mnetdsl.diagnostics.text import render
from mnetdsl.ir.core import Module
from mnetdsl.ir.equality import difference
from mnetdsl.ir.printer import print_module
from mnetdsl.ir.text.reader import read_module
from mnetdsl.passes.pipelines import optimize
from mnetdsl.source import SourceFile
from tests.fuzz.session import ROOT, SLOW, fuzz
from tests.ir.mlir import mlir_round_trip
from tests.ir.random_modules import modules
from tests.passes.random_networks import networks

MAX_LENGTH = 60_000
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[%^#!@]?[A-Za-z_$][\w$.-]*|[%^]?\d+|->|\s+|.', re.DOTALL)
SNIPPETS = (
    *("(", ")", "{", "}", "[", "]", "<", ">", ":", ",", "=", "->", '"', "\\", "//", "\n", "\0", "é", "\u2028", "#loc"),
    *("0", "-1", "2", "1.0", "0.5", "-0.0", "1e5", "0x7FF0000000000000 : f64", "9" * 30, "1.0e400", "2147483648"),
    *("true", "[]", "{}", "loc(unknown)", 'loc("a"("b":1:2))', "#loc = loc(#loc)", "[" * 40, "{a = " * 40, "(" * 40),
    *("tensor<1x4xf32>", "tensor<f32>", "tensor<0xi8>", "tensor<1x!quant.uniform<i8:f32, 0.5:3>>", "tensor<", "i8"),
    *('"mnet.relu"', '"mnet.add"', '"mnet.constant"', '"func.func"', '"builtin.module"', "array<i32: 1, 0>", "^bb0:"),
    *("operandSegmentSizes = array<i32: 2, 1, 0>", "mnet.derived = [{}]", "mnet.ir = 1 : i64", 'mnet.name = "x"'),
)


def seeds(number: int) -> list[str]:
    """Printed modules; the random ones follow from `number`."""
    found: list[str] = []

    @seed(number)
    @settings(max_examples=80, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(modules(), networks())
    def collect(any_module: Module, network: Module) -> None:
        found.extend([print_module(any_module), print_module(network)])
        network.resources.clear()
        found.append(print_module(optimize(network)))

    collect()
    small = load("mobilenet_v2", alpha=0.25, resolution=32, classes=2).module
    found += [print_module(small), print_module(optimize(small))]
    found += [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("tests/ir/found/*.mlir"))]
    return found


def mutate(text: str, random: Random, others: list[str]) -> str:
    """Cuts, doubles, swaps and replaces tokens or lines."""
    by_line = random.random() < 0.2
    parts = text.splitlines(keepends=True) if by_line else TOKEN.findall(text)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        place = random.randrange(len(parts) + 1)
        width = random.choice((1, 1, 1, 2, 5))
        kind = random.randrange(6)
        if kind == 0:
            del parts[place : place + width]
        elif kind == 1:
            parts[place:place] = [random.choice(SNIPPETS)]
        elif kind == 2:
            parts[place : place + 1] = [random.choice(SNIPPETS)]
        elif kind == 3:
            parts[place:place] = parts[place : place + width]
        elif kind == 4 and parts:
            # Another token of the same text: names, types and numbers that nearly fit.
            parts[place : place + 1] = [random.choice(parts)]
        else:
            other = random.choice(others)
            cut = random.randrange(len(other) + 1)
            parts[place:place] = [other[cut : cut + random.randrange(80)]]
    return "".join(parts)[:MAX_LENGTH]


def try_text(text: str) -> bool:
    """Raises whatever is wrong with how `text` is treated; whether it was accepted."""
    begin = time.process_time()
    accepted = False
    try:
        module = read_module(SourceFile("net.mlir", text))
        accepted = True
    except MnetError as problem:
        render(problem.diagnostics, color=True)
        as_json(problem.diagnostics)
    if accepted:
        printed = print_module(module)
        problem_found = difference(module, read_module(SourceFile("net.mlir", printed)))
        if problem_found:
            raise AssertionError(f"printing changes the module: {problem_found}")
        mlir_round_trip(printed)
        print_module(optimize(module))
    if time.process_time() - begin > SLOW:
        raise AssertionError(f"took {time.process_time() - begin:.1f} s")
    return accepted


def texts(random: Random, number: int) -> Iterator[bytes]:
    corpus = seeds(number)
    while True:
        yield mutate(random.choice(corpus), random, corpus).encode("utf-8", "surrogatepass")


def try_bytes(data: bytes) -> bool:
    return try_text(data.decode("utf-8", "surrogatepass"))


if __name__ == "__main__":
    sys.exit(fuzz(__doc__, "ir.mlir", texts, try_bytes))
