"""Whatever a model, input or file is called, the C is valid and cannot be escaped from."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnetdsl.backends.c import generate
from mnetdsl.backends.c.host import HostRunner
from mnetdsl.backends.c.identifiers import Names, comment_text, identifier, string_literal
from mnetdsl.interpreter import run
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from tests.backends.c.harness import STRICT, assert_same, random_inputs, run_command, write
from tests.graphs import GraphMaker
from tests.toolchain import require


@given(st.text())
def test_every_name_becomes_an_identifier(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", identifier(name))


@given(st.lists(st.text(max_size=3)))
def test_names_stay_apart_as_macros_too(names: list[str]) -> None:
    given_out = Names(("ctx",))
    found = [given_out.new(name).upper() for name in names]
    assert len(set(found)) == len(found)
    assert "CTX" not in found


@given(st.text())
def test_no_text_ends_a_comment_or_a_string(text: str) -> None:
    assert not re.search(r"\*/|/\*|\n", comment_text(text))
    assert re.fullmatch(r'"([^"\\?\n]|\\[0-7]{3})*"', string_literal(text))


@pytest.mark.parametrize("name", ["int", "3d-net", "class", "Ünïcode net", "__x"])
def test_awkward_names_compile_as_c_and_cpp_and_run(tmp_path: Path, name: str) -> None:
    require("g++")
    maker = GraphMaker(name)
    left, right = maker.input(3, name="float"), maker.input(3, name="ctx")
    location = Location("a*/b /* c??/", "x */ y.mnet", 3)
    total = maker.builder.add(OPERATIONS["add"], location, operands={"left": left, "right": right}).result
    clamped = maker.builder.add(OPERATIONS["relu"], Location("status"), operands={"input": total}).result
    maker.builder.output("float", clamped)
    maker.builder.output("INT", total)
    module = maker.module
    inputs = random_inputs(module)
    assert_same(HostRunner(module).run(inputs), run(module, inputs))
    files = generate(module).files
    folder = write(tmp_path, files)
    sources = [file for file in files if file.endswith(".c")]
    run_command(["g++", "-x", "c++", "-std=c++17", *STRICT, "-c", *sources], folder)


def test_labels_are_stored_byte_by_byte(tmp_path: Path) -> None:
    require("gcc")
    labels = ('say "no"', "back\\slash", "??=", "naïve 犬", "")
    maker = GraphMaker("named")
    x = maker.input(5)
    maker.builder.output("scores", maker.builder.add(OPERATIONS["relu"], operands={"input": x}).result)
    maker.module.graph.outputs[0].attributes["labels"] = labels
    folder = write(tmp_path, generate(maker.module).files)
    program = (
        '#include "named.h"\n#include <stdio.h>\n'
        "int main(void) { int i; for (i = 0; i < 5; i++) puts(named_scores_labels[i]); return 0; }\n"
    )
    write(folder, {"show.c": program.encode()})
    run_command(["gcc", "-std=c99", *STRICT, "show.c", "named_labels.c", "-o", "show"], folder)
    assert run_command(["./show"], folder) == "\n".join(labels) + "\n"
    assert np.all([label.isascii() for label in labels]) == np.False_
