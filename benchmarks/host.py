"""Networks on this processor, ours beside other engines; see `mnetdsl.bench.host` for how it is measured.

    python benchmarks/host.py [--network mobilenet_v2 ...] [--threads 1,2] [--rounds 9] [--precision f32 int8 bf16]

Needs the extra [bench], and for int8 the data folder (`MNET_DATA`, default ../shared/data). Prints a table a network
and writes benchmarks/results/host_<network>.json, for other precisions than f32 host_<network>_<precision>.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from int8_networks import int8_network

import mnetdsl
from mnetdsl.backends.iree import why_no_bfloat
from mnetdsl.bench import Request
from mnetdsl.bench.host import measure
from mnetdsl.cli.console import print_table
from mnetdsl.cli.script import count, counts, run_script
from mnetdsl.ir.core import Module
from mnetdsl.passes.pipelines import optimize

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v4_conv_small")
ALL = ("iree", "litert", "onnxruntime", "openvino")
ENGINES = {"f32": ALL, "int8": ALL, "bf16": ("openvino",)}
"""By precision."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", default=list(NETWORKS))
    parser.add_argument("--threads", type=counts, default="1,2")
    parser.add_argument("--rounds", type=count, default=9)
    parser.add_argument("--precision", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    asked = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for precision in asked.precision:
        if precision == "bf16" and (reason := why_no_bfloat("iree-cpu")) is not None:
            print(f"bf16 is left out: {reason}")
            continue
        for name in asked.network:
            measure_one(name, precision, asked.threads, asked.rounds)


def measure_one(name: str, precision: str, threads: tuple[int, ...], rounds: int) -> None:
    """Prints the table and writes the results."""
    with tempfile.TemporaryDirectory() as folder:
        written = _written(name, precision, Path(folder))
    if written is None:
        print(f"{name} in int8 is left out: its data is not there; MNET_DATA names the folder")
        return
    request = Request(
        optimize(written),
        written=written,
        threads=threads,
        against=ENGINES[precision],
        rounds=rounds,
        precision="f32" if precision == "int8" else precision,
    )
    report = replace(measure(request), network=name)
    table = report.table()
    print("\n".join(report.heading()), end="\n\n")
    print_table(table.header, table.rows, table.right)
    print("\n" + "\n".join(report.notes()), end="\n\n")
    sys.stdout.flush()
    suffix = "" if precision == "f32" else f"_{precision}"
    (RESULTS / f"host_{Path(name).stem}{suffix}.json").write_text(json.dumps(report.to_json(), indent=2) + "\n")


def _written(name: str, precision: str, folder: Path) -> Module | None:
    if precision == "int8":
        return int8_network(name, folder)
    return mnetdsl.load(name).with_weights("random:1").module


if __name__ == "__main__":
    sys.exit(run_script(main))
