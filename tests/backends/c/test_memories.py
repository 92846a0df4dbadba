"""Networks that fit in no memory alone: the same bits from several arenas, each touched exactly as far as stated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.backends.c import Options, generate, plan_memory, plan_rows
from mnetdsl.backends.c.host import HostLibrary, HostRunner
from mnetdsl.backends.qemu.runner import QemuRunner
from mnetdsl.files import write_folder
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.plan import Memory
from mnetdsl.plan.rows import Bands
from mnetdsl.targets import BOARDS, CORES, memories
from tests.backends.c.harness import STRICT, random_inputs, run_command
from tests.backends.c.networks import Network, small_mobilenet
from tests.backends.c.quantized.layers import different
from tests.backends.c.quantized.test_networks import I8, quantized
from tests.toolchain import require

Array = NDArray[Any]
GUARD = 64


def int8_network() -> Module:
    return quantized("mobilenet_v2", I8, alpha=0.35, resolution=32)


def options(module: Module, rows: bool, core: str | None = None) -> Options:
    """Two memories, of which none holds the arena, and which together hold little more."""
    chosen = None if core is None else CORES[core]
    whole = (plan_rows if rows else plan_memory)(module, core=chosen)
    largest = max(buffer.size for buffer in whole.buffers)
    second = max(largest, whole.arena_bytes * 5 // 8)
    first = whole.arena_bytes * 9 // 8 - second
    found = (Memory("DTCM", first), Memory("AXI SRAM", second))
    assert all(memory.bytes < whole.arena_bytes for memory in found)
    return Options(rows=rows, core=chosen, memories=found)


def cases() -> list[tuple[Module, Options]]:
    """A float network by rows and two of integers: their whole images need little beside the largest tensor."""
    tiny, v2 = small_mobilenet(size=32), int8_network()
    v1 = quantized("mobilenet_v1", I8, alpha=0.25, resolution=64)
    return [
        (tiny, options(tiny, True)),
        (residual_network(), options(residual_network(), False)),
        (v2, options(v2, True, "cortex-m4")),
        (v1, options(v1, True, "cortex-m55")),
    ]


def residual_network() -> Module:
    """Three maps of one size are alive at once, so that no memory needs to hold more than two."""
    net = Network("tiny", 3)
    x = net.builder.input("image", TensorType((1, 12, 12, 4), ElementType.F32)).value
    first = net.conv("first", x, 8, 3, activation="relu")
    second = net.conv("second", first, 8, 3, activation="relu")
    third = net.conv("third", second, 8, 3, residual=first)
    fourth = net.conv("fourth", third, 8, 5, residual=second)
    net.output(net.layer("pool", "global_avg_pool", {"input": fourth}))
    return net.module


@pytest.mark.parametrize("number", range(4))
def test_every_layer_has_the_same_bits_as_from_one_arena(number: int) -> None:
    require("gcc")
    module, chosen = cases()[number]
    inputs = random_inputs(module, batch=2)
    wanted = {op.name for op in module.graph.operations if op.opcode not in ("constant", "reshape")}
    runner = HostRunner(module, chosen)
    assert [arena.memory for arena in runner.package.plan.arenas] == ["DTCM", "AXI SRAM"]
    assert runner.package.plan.fits
    one = HostRunner(module, Options(rows=chosen.rows, core=chosen.core))
    assert different(runner.run(inputs, observe=wanted), one.run(inputs, observe=wanted)) == []


@pytest.mark.parametrize("number", [0, 1, 3, pytest.param(2, marks=pytest.mark.slow)])
def test_each_arena_is_touched_exactly_as_far_as_its_header_says(number: int) -> None:
    require("gcc")
    module, chosen = cases()[number]
    package = generate(module, options=chosen)
    sizes = [
        int(size)
        for size in re.findall(r"_ARENA_\w+_BYTES (\d+)u", package.files[f"{package.program.name}.h"].decode())
    ]
    assert sizes == [arena.bytes for arena in package.plan.arenas]
    library = HostLibrary(package)
    images = [array[0] for array in random_inputs(module).values()]
    outputs: list[Array] = [
        np.empty(port.value.type.shape[1:], port.value.type.element.dtype) for port in module.graph.outputs
    ]
    touched = [np.zeros(size + 2 * GUARD, bool) for size in sizes]
    for paint in (0x5A, 0xC3):
        blocks: list[Array] = [np.full(size + 3 * GUARD, paint, np.uint8) for size in sizes]
        blocks = [
            block[-block.ctypes.data % GUARD :][: size + 2 * GUARD] for block, size in zip(blocks, sizes, strict=True)
        ]
        inside = [block[GUARD : GUARD + size] for block, size in zip(blocks, sizes, strict=True)]
        assert library.call(inside, images, outputs) == 0
        for seen, block in zip(touched, blocks, strict=True):
            seen |= block != paint
    for seen, size in zip(touched, sizes, strict=True):
        assert not seen[:GUARD].any()
        assert not seen[GUARD + size :].any()
        assert seen[GUARD + size - 4 : GUARD + size].any()


@pytest.mark.parametrize("core", ["cortex-m4", pytest.param("cortex-m7", marks=pytest.mark.slow)])
def test_an_emulated_board_with_two_memories_gives_the_interpreters_bits(core: str) -> None:
    """Its linker script puts the arenas into different memories, and bytes around each are watched."""
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
    module = int8_network()
    inputs = random_inputs(module)
    expected: dict[str, Array] = {}
    outputs = run(module, inputs, lambda op, array: expected.__setitem__(op.name, array))
    wanted = {op.name for op in module.graph.operations if op.opcode != "constant"}
    expected = {name: array for name, array in expected.items() if name in wanted} | outputs
    runner = QemuRunner(module, core, options=options(module, True, core))
    assert different(runner.run(inputs, observe=wanted), expected) == []


def test_wrong_arenas_are_refused_and_the_example_runs(tmp_path: Path) -> None:
    require("gcc")
    module = residual_network()
    package = generate(module, options=options(module, False))
    check = """#include "tiny.h"
static tiny_arena_dtcm dtcm;
static tiny_arena_axi_sram axi;
static tiny_context context;
int main(void)
{
    uint8_t *const odd = (uint8_t *)&axi + 1;
    return !(tiny_init(&context, NULL, sizeof dtcm, &axi, sizeof axi) == TINY_ERROR_NULL
        && tiny_init(&context, &dtcm, sizeof dtcm, NULL, sizeof axi) == TINY_ERROR_NULL
        && tiny_init(&context, &dtcm, sizeof dtcm - 1u, &axi, sizeof axi) == TINY_ERROR_ARENA
        && tiny_init(&context, &dtcm, sizeof dtcm, &axi, TINY_ARENA_AXI_SRAM_BYTES - 1u) == TINY_ERROR_ARENA
        && tiny_init(&context, &dtcm, sizeof dtcm, odd, sizeof axi) == TINY_ERROR_ALIGNMENT
        && tiny_init(&context, &dtcm, sizeof dtcm, &axi, sizeof axi) == TINY_OK);
}
"""
    write_folder(tmp_path, {**package.files, "check.c": check.encode()})
    run_command(["gcc", "-std=c99", *STRICT, "check.c", "tiny.c", "tiny_weights.c", "-lm", "-o", "check"], tmp_path)
    run_command(["./check"], tmp_path)
    run_command(["gcc", "-std=c99", *STRICT, "tiny_main.c", "tiny.c", "tiny_weights.c", "-lm", "-o", "main"], tmp_path)
    inputs = random_inputs(module)
    inputs["image"].tofile(tmp_path / "image.bin")
    run_command(["./main", "image.bin", "out.bin"], tmp_path)
    (expected,) = HostRunner(module).run(inputs).values()
    assert (tmp_path / "out.bin").read_bytes() == expected.tobytes()


def test_one_memory_that_suffices_gives_the_files_of_one_arena() -> None:
    module = small_mobilenet()
    roomy = Options(memories=(Memory("DTCM", 1024), Memory("AXI SRAM", 512 * 1024)))
    assert generate(module, options=roomy).files == generate(module).files


@pytest.mark.parametrize(
    ("board", "name", "integer", "resolution"),
    [
        ("stm32f407", "mobilenet_v1", True, 224),
        ("stm32f407", "mobilenet_v2", True, 224),
        ("stm32h743", "mobilenet_v1", False, 192),
    ],
)
def test_real_parts_hold_in_two_memories_what_none_holds_alone(
    board: str, name: str, integer: bool, resolution: int
) -> None:
    """By rows: of a whole image the largest tensor alone is nearly all."""
    part = BOARDS[board]
    if integer:
        module = quantized(name, I8, alpha=1.0, resolution=resolution)
    else:
        module = mnetdsl.load(name, alpha=1.0, resolution=resolution).optimized()
    found = tuple(Memory(region.name, region.bytes) for region in memories(part.ram)[:2])
    whole = plan_rows(module, part.core)
    assert whole.arena_bytes > max(memory.bytes for memory in found)
    plan = plan_rows(module, part.core, found)
    assert plan.fits
    assert [arena.memory for arena in plan.arenas] == [memory.name for memory in found]
    front = plan_rows(module, part.core, bands=Bands(behind=False))
    assert front.lower_bound <= plan.arena_bytes <= 1.06 * front.lower_bound
    for arena in plan.arenas:
        assert arena.lower_bound <= arena.bytes <= 1.01 * arena.lower_bound
    first, second = plan.arenas
    assert first.accesses / first.bytes > second.accesses / second.bytes
