"""What int8 costs in accuracy, technique by technique, beside float and beside the int8 models that others made.

    python benchmarks/accuracy.py [--network v1 v2 v3] [--rows …] [--again]

Calibrates on the first 100 photographs of the data folder (`MNET_DATA`, default ../shared/data) and measures on the
others. Each result goes to benchmarks/results/accuracy_<network>.json as soon as it is there; what is there is not
measured again. The tables of docs/quantization.md are made of these files.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from float_networks import dequantized
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.api import Network
from mnetdsl.cli.script import run_script
from mnetdsl.evaluate import Pairing, Share, pair, ranks, read_labels
from mnetdsl.files import write_folder, write_whole
from mnetdsl.importers.tflite import import_tflite
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from mnetdsl.passes.pipelines import optimize
from mnetdsl.quantize.calibration import batched, calibrated_input
from mnetdsl.quantize.pictures import Pictures
from mnetdsl.quantize.quantizer import Settings
from mnetdsl.quantize.tuning import Techniques

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "quantization.md"
DATA = Path(os.environ.get("MNET_DATA", ROOT.parent / "shared" / "data"))
PHOTOGRAPHS = DATA / "images" / "imagenet"
BUILD = ROOT / "build" / "accuracy"
CALIBRATION = 100
START, END = "<!-- accuracy: made by benchmarks/accuracy.py -->", "<!-- accuracy: end -->"


@dataclass(frozen=True)
class Subject:
    """file: of the float network, or of the int8 one that its weights are taken out of. others: int8 models of the same
    network, name -> reference outputs in the data folder. more: rows of its own."""

    title: str
    file: str
    from_int8: bool
    others: dict[str, str] = field(default_factory=dict)
    more: dict[str, Settings] = field(default_factory=dict)


SUBJECTS = {
    "v1": Subject(
        "MobileNetV1 0.25",
        "mobilenet_v1_0.25_224_float.tflite",
        False,
        {"Google, uint8, trained for it": "v1_0.25_224_quant__dev.npz"},
    ),
    "v2": Subject(
        "MobileNetV2 1.0",
        "tf2_mobilenet_v2_1.0_224_ptq.tflite",
        True,
        {
            "Google, int8, after training": "v2_1.0_224_tf2_ptq__dev.npz",
            "Google, uint8, trained for it": "v2_1.0_224_quant__dev.npz",
        },
    ),
    "v3": Subject(
        "MobileNetV3 small",
        "mobilenet_v3_small_224_tf2_ptq_int8.tflite",
        True,
        {
            "Google, int8, after training": "v3_small_tf2_ptq__dev.npz",
            "Google, uint8, trained for it": "v3_small_uint8__dev.npz",
        },
        {"8 tensors in 16 bits, percentile 99.99": Settings("percentile", widest=8)},
    ),
}
PLAIN = Techniques(mse_scales=False, learned_rounding=False, bias_correction=False)
ROWS: dict[str, Settings] = {
    "min-max": Settings("min-max", equalize=False, techniques=PLAIN),
    "percentile 99.99": Settings("percentile", equalize=False, techniques=PLAIN),
    "MSE": Settings("mse", equalize=False, techniques=PLAIN),
    "best observer for each tensor": Settings(equalize=False, techniques=PLAIN),
    "+ equalization": Settings(techniques=PLAIN),
    "+ bias correction": Settings(techniques=Techniques(mse_scales=False, learned_rounding=False)),
    "+ learned rounding (the default)": Settings(),
    "+ 2 tensors in 16 bits": Settings(widest=2),
    "+ 8 tensors in 16 bits": Settings(widest=8),
    "8 tensors in 16 bits, not equalized": Settings(equalize=False, widest=8),
}


@dataclass(frozen=True)
class Photographs:
    """Those that accuracy is measured on."""

    input: str
    batches: tuple[NDArray[np.generic], ...]
    classes: tuple[int, ...]

    @classmethod
    def read(cls, module: Module, classes: int) -> Photographs:
        labels = read_labels(PHOTOGRAPHS / "labels.csv", classes).part(CALIBRATION, None)
        read = Pictures(PHOTOGRAPHS, skip=CALIBRATION).read(module)
        if [path.name for path in read.files] != list(labels.files):
            raise SystemExit(f"{PHOTOGRAPHS / 'labels.csv'} does not list the photographs in order of their names")
        return cls(read.input, batched(read.input, read.batches).batches, labels.classes)

    def logits(self, module: Module) -> NDArray[np.float64]:
        """Outputs as real numbers."""
        optimized = optimize(module)
        (port,) = optimized.graph.outputs
        found = np.concatenate([run(optimized, {self.input: batch})[port.name] for batch in self.batches])
        quantization = port.value.type.quantization
        if quantization is None:
            return found.astype(np.float64)
        return (found.astype(np.float64) - quantization.zero_point[0]) * quantization.scale[0]


def float_network(name: str, subject: Subject) -> Network:
    """The float network, imported into the build folder."""
    folder = BUILD / name
    imported = import_tflite(str(DATA / "models" / subject.file), name=f"{name}_imported")
    write_folder(folder / "imported", imported.files)
    if subject.from_int8:
        return dequantized(folder / "imported", folder / "float", name)
    return mnetdsl.load(folder / "imported").with_weights()


def measured(pairing: Pairing, share: Share, seconds: float) -> dict[str, Any]:
    """pairing: float beside int8; the difference is int8 less float."""
    return {
        "top1": share.value,
        "interval": list(share.interval),
        "difference": pairing.difference,
        "difference_interval": list(pairing.interval),
        "only_float": pairing.only_this,
        "only_int8": pairing.only_other,
        "agree": pairing.agree,
        "images": pairing.total,
        "seconds": round(seconds, 1),
    }


def compare(exact: NDArray[np.float64], given: NDArray[np.float64], classes: tuple[int, ...]) -> dict[str, Any]:
    right = Share(int((ranks(given, classes) < 1).sum()), len(classes))
    return measured(pair(exact, given, classes, list(classes)), right, 0.0)


def measure(name: str, rows: list[str], again: bool) -> None:
    path = RESULTS / f"accuracy_{name}.json"
    found: dict[str, Any] = {} if again or not path.exists() else json.loads(path.read_text())["rows"]
    subject = SUBJECTS[name]
    network = float_network(name, subject)
    calibration = Pictures(PHOTOGRAPHS, limit=CALIBRATION).read(network.module)
    outputs = network.module.graph.outputs[0].value.type.shape[-1]
    photographs = Photographs.read(network.module, outputs)
    if calibrated_input(network.module).name != photographs.input:
        raise SystemExit("calibration and measurement have different inputs")
    exact = photographs.logits(network.module)

    def keep(row: str, result: dict[str, Any]) -> None:
        found[row] = result
        described = {"network": subject.title, "file": subject.file, "calibration": CALIBRATION, "rows": found}
        write_whole(path, (json.dumps(described, indent=2) + "\n").encode())
        print(f"{name:>3} {row:<34} {100 * result['top1']:5.1f} %  {100 * result['difference']:+5.1f}", flush=True)

    keep("float", compare(exact, exact, photographs.classes))
    for row in (*rows, *subject.more):
        if row in found:
            continue
        start = time.monotonic()
        quantized = network.quantize(calibration, settings=(ROWS | subject.more)[row])
        seconds = time.monotonic() - start
        result = compare(exact, photographs.logits(quantized.module), photographs.classes)
        result |= {"seconds": round(seconds, 1), "wide": sorted(quantized.found.costs)}
        keep(row, result)
    for title, file in subject.others.items():
        theirs = np.load(DATA / "reference" / file)["out"][CALIBRATION:].astype(np.float64)
        keep(title, compare(exact, theirs, photographs.classes))


def table(described: Mapping[str, Any]) -> list[str]:
    """A network's results as lines of the page."""
    rows: Mapping[str, Any] = described["rows"]
    images = rows["float"]["images"]
    lines = [
        f"### {described['network']}",
        "",
        f"{images} photographs, calibrated on {described['calibration']} others.",
    ]
    lines += ["", "| | top-1 (95 %) | beside float, paired (95 %) | same class |", "|---|---|---|---|"]
    others = [title for subject in SUBJECTS.values() for title in subject.others]
    more = [title for subject in SUBJECTS.values() for title in subject.more]
    for title in ("float", *ROWS, *more, *dict.fromkeys(others)):
        if title not in rows:
            continue
        row = rows[title]
        top = f"{100 * row['top1']:.1f} ({100 * row['interval'][0]:.1f} to {100 * row['interval'][1]:.1f})"
        low, high = row["difference_interval"]
        beside = f"{100 * row['difference']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        agree = f"{100 * row['agree'] / row['images']:.1f} %"
        lines.append(
            f"| {title} | {top} | {'' if title == 'float' else beside} | {'' if title == 'float' else agree} |"
        )
    return [*lines, ""]


def write_page() -> None:
    """Puts the tables into docs/quantization.md."""
    lines = [START, ""]
    for name in SUBJECTS:
        path = RESULTS / f"accuracy_{name}.json"
        if path.exists():
            lines += table(json.loads(path.read_text()))
    before, _, rest = PAGE.read_text().partition(START)
    _, _, after = rest.partition(END)
    write_whole(PAGE, (before + "\n".join([*lines, END]) + after).encode())


def main() -> None:
    parser = argparse.ArgumentParser(description="accuracy of int8 networks")
    parser.add_argument("--network", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--rows", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--again", action="store_true", help="measure anew what is there")
    parser.add_argument("--page", action="store_true", help="only make the tables of the results that are there")
    arguments = parser.parse_args()
    if not arguments.page:
        for name in arguments.network:
            measure(name, arguments.rows, arguments.again)
    write_page()


if __name__ == "__main__":
    sys.exit(run_script(main))
