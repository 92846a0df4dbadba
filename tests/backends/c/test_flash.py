"""A budget of flash counts constants as kernels have them, to the byte."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mnetdsl.backends.c import Options, generate
from mnetdsl.backends.targets import generate as generate_for
from mnetdsl.diagnostics import ExitCode, MnetError
from mnetdsl.files import write_folder
from mnetdsl.ir.core import Module
from mnetdsl.targets import CORES
from tests.backends.c.quantized.test_networks import I8, quantized
from tests.toolchain import require


@pytest.fixture(scope="module")
def network() -> Module:
    return quantized("mobilenet_v1", I8, alpha=0.25, resolution=32, classes=10)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m55"])
def test_a_budget_counts_what_the_compiler_puts_into_flash(
    network: Module, tmp_path: Path, core: str, rows: bool
) -> None:
    require("arm-none-eabi-gcc")
    files = generate(network, options=Options(core=CORES[core], rows=rows)).files
    needed = _bytes_of_constants(files, f"{network.name}_weights.c", CORES[core].flags, tmp_path)
    assert needed > sum(op.type.byte_size for op in network.graph.constants())
    assert generate_for(network, core, rows=rows, flash=needed) == files
    with pytest.raises(MnetError, match="MN1104") as refused:
        generate_for(network, core, rows=rows, flash=needed - 1)
    assert refused.value.exit_code is ExitCode.OVER_BUDGET
    assert f"need {needed:,} bytes of flash, {needed - 1:,} are available: 1 too many" in str(refused.value)


def _bytes_of_constants(files: dict[str, bytes], source: str, flags: tuple[str, ...], folder: Path) -> int:
    """Of one compiled file, as the tools of the compiler show them."""
    write_folder(folder, files)
    subprocess.run(["arm-none-eabi-gcc", *flags, "-c", source, "-o", "weights.o"], cwd=folder, check=True)
    shown = subprocess.run(
        ["arm-none-eabi-size", "-A", "weights.o"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    return sum(int(line.split()[1]) for line in shown.splitlines() if line.startswith(".rodata"))
