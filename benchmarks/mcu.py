"""8-bit networks on emulated Cortex-M cores: executed instructions, layer by layer, beside what other engines take.

    python benchmarks/mcu.py [--network vww_96 ...] [--core cortex-m4 ...]

The figures of others were measured once, in the same emulator (gcc 12.2, the same way of counting), and are written
down here. Networks are TensorFlow Lite files in the folder that MNET_DATA names (default ../shared/data), and one of
the zoo with made-up weights. Prints a table a network and core and writes benchmarks/results/mcu_<network>_<core>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mnetdsl
from mnetdsl.backends.qemu.measurement import Measurement, measure
from mnetdsl.cli.console import print_table
from mnetdsl.cli.script import run_script
from mnetdsl.files import write_folder
from mnetdsl.images import random_input
from mnetdsl.importers.tflite import import_tflite
from mnetdsl.ir.core import Module
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.passes.pipelines import optimize
from mnetdsl.quantize.apply import apply_quantization, quantizable, tensor_names
from mnetdsl.sema.quantization import QuantizedTensor
from mnetdsl.weights.random import random_weights

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("MNET_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
CORES = ("cortex-m4", "cortex-m7", "cortex-m55")


@dataclass(frozen=True)
class Published:
    """Of the engine that takes the fewest instructions for the reference's bits; None where nothing is known.

    aim: what this project set itself. layers: by our names.
    """

    engine: str
    instructions: int | None = None
    ram: int | None = None
    flash: int | None = None
    aim: int | None = None
    layers: Mapping[str, int] = field(default_factory=dict)


_POINTWISE_6X6 = {f"body.{index}.pointwise": 1_052_673 for index in range(6, 11)}
_VWW_M4 = {
    "body.0.depthwise": 1_338_431,
    "body.0.pointwise": 1_743_233,
    "body.1.pointwise": 1_062_993,
    "body.2.pointwise": 1_483_857,
    "body.4.depthwise": 587_351,
    "body.4.pointwise": 1_174_001,
    **_POINTWISE_6X6,
    "body.12.pointwise": 1_151_921,
}
DIRECT, MICRO = "CMSIS-NN, called directly", "TensorFlow Lite Micro with CMSIS-NN"
PUBLISHED: dict[tuple[str, str], Published] = {
    ("vww_96", "cortex-m4"): Published(DIRECT, 22_600_000, 56_320, 268_000, 9_000_000, _VWW_M4),
    ("vww_96", "cortex-m7"): Published(MICRO, 22_690_000, 100_708, 387_000, 9_000_000),
    ("vww_96", "cortex-m55"): Published(MICRO, 6_430_000, 100_772, 382_000, 1_400_000),
    ("vww_96_folded", "cortex-m4"): Published(DIRECT, 22_600_000, 56_320, 268_000, 5_000_000, _VWW_M4),
    ("vww_96_folded", "cortex-m7"): Published(MICRO, 22_690_000, 100_708, 387_000, 5_000_000),
    ("vww_96_folded", "cortex-m55"): Published(MICRO, 6_430_000, 100_772, 382_000, 950_000),
    ("mobilenet_v2", "cortex-m4"): Published(MICRO, 749_000_000, 1_660_116, 4_130_000, 310_000_000),
    ("mobilenet_v2", "cortex-m55"): Published(MICRO, 174_800_000, 1_664_644, 4_130_000, 50_000_000),
}
"""By network and core."""

FILES = {
    "vww_96": "vww_96_int8",
    "mobilenet_v2": "tf2_mobilenet_v2_1.0_224_ptq",
    "mobilenet_v3_small": "mobilenet_v3_small_224_tf2_ptq_int8",
}
"""TensorFlow Lite's networks by name."""
FOLDED = {"vww_96_folded": "vww_96"}
"""Networks of `FILES` without the channels that hold one number for every input: outputs stay."""
ZOO: dict[str, tuple[str, Mapping[str, Any]]] = {
    "mobilenet_v2_0.35_96": ("mobilenet_v2", {"alpha": 0.35, "resolution": 96})
}
"""Networks of the zoo with their parameters; made-up weights, every tensor int8."""
_LINEAR = Storage(ElementType.I8, Quantization.per_tensor(0.05, -3))
_CLAMPED = Storage(ElementType.I8, Quantization.per_tensor(6 / 255, -128))


def main() -> None:
    names = [*FILES, *FOLDED, *ZOO]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", choices=names, default=names)
    parser.add_argument("--core", nargs="+", choices=CORES, default=list(CORES))
    asked = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for name in asked.network:
        module = made_up(*ZOO[name]) if name in ZOO else imported(name)
        if module is None:
            print(f"{name} is left out: its TensorFlow Lite file is not in {DATA / 'models'}")
            continue
        inputs = {port.name: random_input(port, 1) for port in module.graph.inputs}
        for core in asked.core:
            report(name, measure(module, core, inputs), PUBLISHED.get((name, core), Published("")))


def imported(name: str) -> Module | None:
    """A network of `FILES`, `FOLDED` or of a file so called, as backends take it; None where the file is not there."""
    source = DATA / "models" / f"{FILES.get(FOLDED.get(name, name), name)}.tflite"
    if not source.is_file():
        return None
    with tempfile.TemporaryDirectory() as folder:
        files = import_tflite(source).files
        write_folder(Path(folder), files)
        network = next(Path(folder) / file for file in files if file.endswith(".mnet"))
        found = mnetdsl.load(network).with_weights()
        return (found.without_constant_channels() if name in FOLDED else found).optimized()


def made_up(network: str, parameters: Mapping[str, Any]) -> Module:
    """A network of the zoo; results of relu6 are stored from its 0 to its 6, others alike."""
    module = mnetdsl.load(network, **parameters).module
    graph = quantizable(module)
    clamped = {op.name for op in graph.graph.operations if op.attributes.get("activation") == "relu6"}
    rows = [QuantizedTensor(name, _CLAMPED if name in clamped else _LINEAR) for name in tensor_names(graph)]
    found = apply_quantization(module, rows)
    found.resources.update(random_weights(found, 1))
    return optimize(found)


def report(name: str, found: Measurement, other: Published) -> None:
    """Prints the table and writes the results."""
    print(f"{name} on {found.core} ({found.machine} in QEMU): executed instructions of one inference")
    print(f"beside: {other.engine or 'nothing is published for this core'}", end="\n\n")
    rows = [
        (layer.name, layer.operation, *_row(layer.instructions, layer.macs, other.layers.get(layer.name)))
        for layer in found.layers
    ]
    rows.append(("total", "", *_row(found.instructions, found.macs, other.instructions)))
    header = ("LAYER", "", "INSTRUCTIONS", "PER MAC", "OTHER", "RATIO")
    print_table(header, rows, (False, False, True, True, True, True))
    ram, flash = found.arena + found.stack + found.variables, found.code + found.constants
    print(f"\naim    {_number(other.aim)} instructions")
    print(f"RAM    {ram:,} bytes: arena {found.arena:,}, stack {found.stack:,}; other: {_number(other.ram)}")
    print(f"flash  {flash:,} bytes: code {found.code:,}, constants {found.constants:,}; other: {_number(other.flash)}")
    print(flush=True)
    content = {
        "network": name,
        "on": f"qemu:{found.core}",
        "machine": found.machine,
        "flags": list(found.flags),
        "total": {
            "instructions": found.instructions,
            "macs": found.macs,
            "arena": found.arena,
            "stack": found.stack,
            "code": found.code,
            "constants": found.constants,
        },
        "other": {
            "engine": other.engine,
            "instructions": other.instructions,
            "ram": other.ram,
            "flash": other.flash,
        },
        "aim": other.aim,
        "layers": [
            {
                "name": layer.name,
                "op": layer.operation,
                "instructions": layer.instructions,
                "macs": layer.macs,
                "other": other.layers.get(layer.name),
            }
            for layer in found.layers
        ],
    }
    (RESULTS / f"mcu_{name}_{found.core}.json").write_text(json.dumps(content, indent=2) + "\n")


def _row(instructions: int, macs: int, other: int | None) -> tuple[str, str, str, str]:
    per_mac = f"{instructions / macs:.2f}" if macs else ""
    return f"{instructions:,}", per_mac, _number(other), "" if other is None else f"{other / instructions:.2f}x"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


if __name__ == "__main__":
    sys.exit(run_script(main))
