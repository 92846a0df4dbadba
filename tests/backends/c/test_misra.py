"""cppcheck with its MISRA addon finds in generated C what docs/misra.md gives reasons for, and nothing else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import mnetdsl
from mnetdsl.backends.c import Options, generate
from mnetdsl.files import write_folder
from mnetdsl.ir.core import Module
from mnetdsl.targets import CORES
from tests.backends.c.quantized.test_networks import I8, quantized
from tests.toolchain import require

PAGE = Path(__file__).resolve().parents[3] / "docs" / "misra.md"
FINDING = re.compile(r"^(?P<place>\S+:\d+):\d+: \w+: .*\[(?P<id>[\w.-]+)\]$", re.MULTILINE)
MANDATORY = {"9.1", "12.5", "13.6", "17.3", "17.4", "17.6", "19.1", "21.13", "21.17", "21.18", "21.19", "21.20"} | {
    f"22.{number}" for number in (2, 4, 5, 6)
}


def documented() -> set[str]:
    rows = re.findall(r"^\| ([\w.]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {row for row in rows if row not in ("Rule", "Remark")}


def float_network() -> Module:
    return mnetdsl.load("mobilenet_v3_small", resolution=32).with_weights("random:1").optimized()


def int8_network(name: str) -> Module:
    return quantized(name, I8, alpha=0.35, resolution=32, classes=10)


def found(module: Module, options: Options, folder: Path) -> dict[str, str]:
    """What is found, by rule or remark, and a place each."""
    write_folder(folder, generate(module, "net", options).files)
    command = ["cppcheck", "--std=c99", "--quiet", "--enable=warning,style,performance,portability", "--addon=misra"]
    configuration = ["-UNET_CONFIG", "-DNET_LAYER_NAMES=1", "--suppress=preprocessorErrorDirective"]
    done = subprocess.run(
        [*command, *configuration, "-I.", "net.c"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    places: dict[str, str] = {}
    for match in FINDING.finditer(done.stderr + done.stdout):
        places.setdefault(match["id"].removeprefix("misra-c2012-"), f"{match['place']}: {match[0]}")
    assert places, "the addon reports nothing: is it installed?"
    return places


@pytest.mark.parametrize(
    ("network", "core", "rows"),
    [
        ("float", "", False),
        ("mobilenet_v2", "", True),
        ("mobilenet_v3_small", "cortex-m4", False),
        pytest.param("mobilenet_v3_small", "cortex-m55", False, marks=pytest.mark.slow),
        pytest.param("mobilenet_v2", "cortex-m4", True, marks=pytest.mark.slow),
    ],
)
def test_every_deviation_has_a_reason(network: str, core: str, rows: bool, tmp_path: Path) -> None:
    require("cppcheck")
    module = float_network() if network == "float" else int8_network(network)
    places = found(module, Options(core=CORES[core] if core else None, rows=rows), tmp_path / "net")
    assert {rule: place for rule, place in places.items() if rule not in documented()} == {}


def test_no_mandatory_rule_is_deviated_from() -> None:
    assert documented() & MANDATORY == set()
    assert len(documented()) > 10
