"""Every C example of docs/c_api.md compiles against a generated model, and the first one runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.interpreter import run
from tests.backends.c.harness import STRICT, random_inputs, run_command, write
from tests.backends.c.networks import small_mobilenet
from tests.toolchain import require

TEXT = (Path(__file__).parents[2] / "docs" / "c_api.md").read_text(encoding="utf-8")
PROGRAMS = [code for code in re.findall(r"^```c\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) if "#include" in code]
CALL, STEPS, ROWS, BOARD = PROGRAMS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("net"), generate(small_mobilenet("net")).files)


@pytest.fixture(scope="module")
def rows_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("rows"), generate(small_mobilenet("net"), options=Options(rows=True)).files)


def test_the_first_example_classifies(folder: Path) -> None:
    require("gcc")
    module = small_mobilenet("net")
    inputs = random_inputs(module, seed=9)
    values = ", ".join(map(str, inputs["image"].reshape(-1)))
    program = f"""{CALL}
#include <string.h>
int main(void)
{{
    static const uint8_t camera[NET_INPUT_IMAGE_BYTES] = {{ {values} }};
    memcpy(image, camera, sizeof image);
    return classify();
}}
"""
    write(folder, {"call.c": program.encode()})
    sources = ["call.c", "net.c", "net_weights.c"]
    run_command(["gcc", "-std=c99", *STRICT, *sources, "-lm", "-o", "call"], folder)
    best = int(np.argmax(run(module, inputs)["scores"]))
    run_command(["sh", "-c", f"./call; test $? -eq {best}"], folder)


def test_the_example_in_pieces_compiles(folder: Path) -> None:
    require("gcc")
    write(folder, {"steps.c": STEPS.encode()})
    run_command(["gcc", "-std=c99", *STRICT, "-c", "steps.c"], folder)


def test_the_example_by_rows_classifies(rows_folder: Path) -> None:
    require("gcc")
    module = small_mobilenet("net")
    inputs = random_inputs(module, seed=9)
    values = ", ".join(map(str, inputs["image"].reshape(-1)))
    program = f"""{ROWS}
#include <stdio.h>
int main(void)
{{
    static const uint8_t camera[NET_INPUT_IMAGE_BYTES] = {{ {values} }};
    static float scores[NET_OUTPUT_SCORES_ELEMENTS];
    const int32_t row = NET_INPUT_IMAGE_BYTES / NET_INPUT_IMAGE_HEIGHT;
    int32_t i, status = begin(scores);
    for (i = 0; i < NET_INPUT_IMAGE_HEIGHT && status >= 0; i += 4) {{
        status = line(camera + i * row, 4);
    }}
    for (i = 0; i < NET_OUTPUT_SCORES_ELEMENTS; i++) {{
        printf("%.6f\\n", (double)scores[i]);
    }}
    return status;
}}
"""
    write(rows_folder, {"feed.c": program.encode()})
    sources = ["feed.c", "net.c", "net_weights.c"]
    run_command(["gcc", "-std=c99", *STRICT, *sources, "-lm", "-o", "feed"], rows_folder)
    scores = [float(text) for text in run_command(["./feed"], rows_folder).split()]
    np.testing.assert_allclose(scores, run(module, inputs)["scores"][0], atol=1e-5)


def test_the_profiling_header_counts_each_layer(folder: Path) -> None:
    require("gcc")
    program = """
#include "net.h"
#include <stdio.h>
uint32_t layer_cycles[NET_LAYER_COUNT];
uint32_t cycles_now(void) { static uint32_t now; return now += 7u; }
int main(void)
{
    static net_arena arena;
    static net_context context;
    static uint8_t image[NET_INPUT_IMAGE_BYTES];
    static float scores[NET_OUTPUT_SCORES_ELEMENTS];
    int32_t i;
    if (net_init(&context, &arena, sizeof arena) != NET_OK || net_run(&context, image, scores) != NET_OK) {
        return 1;
    }
    for (i = 0; i < NET_LAYER_COUNT; i++) {
        printf("%s %u\\n", net_layer_name(i), (unsigned)layer_cycles[i]);
    }
    return 0;
}
"""
    write(folder, {"board.h": BOARD.encode(), "profile.c": program.encode()})
    flags = ["-std=c99", *STRICT, '-DNET_CONFIG="board.h"', "-I."]
    run_command(["gcc", *flags, "profile.c", "net.c", "net_weights.c", "-lm", "-o", "profile"], folder)
    lines = run_command(["./profile"], folder).splitlines()
    assert lines[1] == "stem 7"
    assert all(line.endswith(" 7") for line in lines)


def test_every_status_code_of_the_header_is_in_the_table_with_its_value(rows_folder: Path) -> None:
    header = (rows_folder / "net.h").read_text()
    codes = re.findall(r"^#define (NET_(?:OK|MORE|ROWS|ERROR_\w+)) \(?(-?\d+)\)?", header, re.MULTILINE)
    assert len(codes) == 11
    for name, value in codes:
        assert f"| `{name}` | {value} |" in TEXT
