"""Budgets are checked before anything is flashed: exit 3, with required, available, excess and the layer to blame."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mnetdsl.cli.main import main
from mnetdsl.diagnostics import ExitCode
from tests.cli.conftest import NETWORK
from tests.cli.process import mnet, refused
from tests.toolchain import require

DEPLOY = "\ndeploy small of tiny() {\n  target cortex_m4 { flash = 1M, ram = RAM }\n}\n"


def test_a_deployment_is_held_to_the_ram_of_its_target(folder: Path) -> None:
    (folder / "tiny.mnet").write_text(NETWORK + DEPLOY.replace("RAM", "512"))
    text = refused(mnet("check", "tiny.mnet", cwd=folder), "MN1103", exit_code=3)
    assert "needs 768 bytes of RAM, 512 are available: 256 too many" in text
    assert "tiny.mnet:7" in text
    assert "`image` (768 bytes)" in text
    refused(
        mnet("compile", "tiny.mnet", "--weights", "random:1", "--target", "host-c", "-o", "out", cwd=folder),
        "MN1103",
        exit_code=3,
    )
    assert not (folder / "out").exists()


def test_a_deployment_that_fits_passes(folder: Path) -> None:
    (folder / "tiny.mnet").write_text(NETWORK + DEPLOY.replace("RAM", "64K"))
    assert mnet("check", "tiny.mnet", cwd=folder).returncode == 0


def test_a_deployment_that_is_to_be_quantized_is_not_held_to_float(folder: Path) -> None:
    deploy = DEPLOY.replace("RAM", "512").replace("  target", "  quantize int8 { equalize = true }\n  target")
    (folder / "tiny.mnet").write_text(NETWORK + deploy)
    assert mnet("check", "tiny.mnet", cwd=folder).returncode == 0


def test_the_command_line_sets_a_budget(folder: Path) -> None:
    command = ("compile", "tiny.mnet", "--weights", "random:1", "--target", "host-c", "-o", "out")
    refused(mnet(*command, "--ram", "512", cwd=folder), "MN1103", exit_code=3)
    assert "quantize the weights" in refused(mnet(*command, "--flash", "100", cwd=folder), "MN1104", exit_code=3)
    assert mnet(*command, "--ram", "1K", "--flash", "2k", cwd=folder).returncode == 0
    refused(mnet(*command, "--ram", "much", cwd=folder), "MN1401", exit_code=2)


def test_a_selftest_without_a_number_has_one_image(folder: Path) -> None:
    command = ("compile", "tiny.mnet", "--weights", "random:1", "--target", "host-c")
    assert mnet(*command, "--selftest", "-o", "alone", cwd=folder).returncode == 0
    assert mnet(*command, "--selftest", "1", "-o", "one", cwd=folder).returncode == 0
    texts = [(folder / out / "tiny_selftest.c").read_text() for out in ("alone", "one")]
    assert texts[0] == texts[1]
    for wrong in ("0", "many", "1.5"):
        said = refused(mnet(*command, "--selftest", wrong, "-o", "out", cwd=folder), "MN1401", exit_code=2)
        assert "is no number of images" in said


def test_an_option_without_its_value_names_the_command_that_lists_it(folder: Path) -> None:
    said = refused(mnet("compile", "tiny.mnet", "--target", cwd=folder), "MN1401", exit_code=2)
    assert "option '--target' needs a value" in said
    assert "`mnet compile --help` lists" in said
    said = refused(mnet("compile", "tiny.mnet", "--selftst", cwd=folder), "MN1401", exit_code=2)
    assert "= help: did you mean one of: '--selftest', '--set'?" in said


def test_a_selftest_is_embedded_and_passes_on_the_host(folder: Path) -> None:
    command = ("compile", "tiny.mnet", "--weights", "random:1", "--selftest", "2", "-o", "out")
    refused(mnet(*command, "--target", "iree-cpu", cwd=folder), "MN1105", exit_code=2)
    assert mnet(*command, "--target", "host-c", cwd=folder).returncode == 0
    main = """#include "tiny.h"
static tiny_arena arena;
int main(void) {
  static tiny_context context;
  float logits[4];
  int32_t failed = -1;
  return tiny_selftest(&context, &arena, sizeof arena, logits, &failed) == TINY_OK && failed == 0 ? 0 : 1;
}
"""
    (folder / "out" / "check.c").write_text(main)
    sources = ["check.c", "tiny.c", "tiny_weights.c", "tiny_selftest.c", "tiny_labels.c"]
    subprocess.run([require("gcc"), "-std=c99", "-o", "check", *sources], cwd=folder / "out", check=True)
    subprocess.run([folder / "out" / "check"], check=True)


def test_a_part_brings_its_own_budget(folder: Path) -> None:
    (folder / "tiny.mnet").write_text(NETWORK.replace("u8[8, 8, 3]", "u8[600, 600, 3]"))
    command = ("compile", "tiny.mnet", "--weights", "random:1", "-o", "out")
    text = refused(mnet(*command, "--target", "stm32f407", cwd=folder), "MN1103", exit_code=3)
    assert "131,072 are available" in text
    assert "SRAM1 and 2 of `stm32f407` has to hold 4,320,000 bytes of RAM" in text
    assert "4,188,928 too many" in text
    assert "beside this one CCM (64K)" in text
    assert "at the peak meet there `image`" in text
    assert mnet(*command, "--target", "stm32f407", "--ram", "8M", cwd=folder).returncode == 0
    assert mnet(*command, "--target", "cortex_m4", cwd=folder).returncode == 0


WIDE = """mnet 1

model wide() {
  input image: f32[32, 32, 8]
  a = conv2d(image, 16, kernel = 3) as a
  b = conv2d(a, 16, kernel = 3) as b
  c = conv2d(b, 16, kernel = 3) as c
  output logits = dense(global_avg_pool(a) + global_avg_pool(c), 4) as logits
}
"""


def test_a_network_that_fits_into_two_memories_of_a_part_gets_two_arenas(folder: Path) -> None:
    """Maps of 64K each: one waits while the next two overlap, which 128K of an STM32F407 do not hold."""
    (folder / "wide.mnet").write_text(WIDE)
    command = ("compile", "wide.mnet", "--weights", "random:1", "--target", "stm32f407", "-o", "out")
    done = mnet(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "  CCM: 65,536 bytes, lower bound 65,536" in done.stdout
    assert "  SRAM1 and 2: " in done.stdout
    described = json.loads(mnet(*command, "--format", "json", cwd=folder).stdout)["arena"]
    assert [arena["memory"] for arena in described["memories"]] == ["CCM", "SRAM1 and 2"]
    assert sum(arena["bytes"] for arena in described["memories"]) == described["bytes"]
    header = (folder / "out" / "wide.h").read_text()
    assert "#define WIDE_ARENA_CCM_BYTES 65536u" in header
    assert "#define WIDE_ARENA_CCM_ALIGNMENT 4u" in header
    assert "void *arena_ccm, size_t arena_ccm_bytes, void *arena_sram1_and_2, size_t arena_sram1_and_2_bytes" in header
    one = mnet(*command, "--ram", "192K", cwd=folder)
    assert "CCM" not in one.stdout
    assert "wide_init(wide_context *ctx, void *arena, size_t bytes)" in (folder / "out" / "wide.h").read_text()
    refused(mnet(*command, "--ram", "128K", cwd=folder), "MN1103", exit_code=3)
    (folder / "wide.mnet").write_text(WIDE.replace("16", "40"))
    text = refused(mnet(*command, cwd=folder), "MN1103", exit_code=3)
    assert "SRAM1 and 2 of `stm32f407` has to hold" in text
    assert "all tensors together need" in text
    shown = mnet("summary", "wide.mnet", "--target", "stm32f407", cwd=folder).stdout
    assert "too many" in shown


def test_a_deployment_for_a_part_is_held_to_its_memories(folder: Path) -> None:
    deploy = DEPLOY.replace("cortex_m4 { flash = 1M, ram = RAM }", "stm32f407 {}")
    (folder / "tiny.mnet").write_text(NETWORK.replace("u8[8, 8, 3]", "u8[600, 600, 3]") + deploy)
    refused(mnet("check", "tiny.mnet", cwd=folder), "MN1103", exit_code=3)
    (folder / "tiny.mnet").write_text(NETWORK + deploy)
    assert mnet("check", "tiny.mnet", cwd=folder).returncode == 0


def test_a_deployment_for_an_unknown_target_is_refused_with_the_one_it_means(folder: Path) -> None:
    (folder / "tiny.mnet").write_text(NETWORK + DEPLOY.replace("cortex_m4", "cortexm4").replace("RAM", "64K"))
    assert "did you mean `cortex_m4`?" in refused(mnet("check", "tiny.mnet", cwd=folder), "MN0610")


@pytest.mark.parametrize("option", ["--ram", "--flash"])
def test_a_module_of_iree_has_no_budget(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["compile", "mobilenet_v1", "--target", "iree-cpu", option, "5K", "-o", "nowhere"]
    assert main(arguments) == ExitCode.USAGE
    assert f"{option} means nothing for `iree-cpu`" in capsys.readouterr().err
