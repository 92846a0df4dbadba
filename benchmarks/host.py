"""Float networks on this processor, ours beside other engines; see `mnetdsl.bench.host` for how it is measured.

    python benchmarks/host.py [--network mobilenet_v2 ...] [--threads 1,2] [--rounds 9] [--precision f32 bf16]

Needs the extra [bench]. Prints a table a network and writes benchmarks/results/host_<network>.json, for bf16
host_<network>_bf16.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import mnetdsl
from mnetdsl.backends.iree import why_no_bfloat
from mnetdsl.bench import Request, measure
from mnetdsl.cli.console import print_table

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v4_conv_small")
ENGINES = {"f32": ("iree", "litert", "onnxruntime", "openvino"), "bf16": ("openvino",)}
"""By precision."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", default=list(NETWORKS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--precision", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    asked = parser.parse_args()
    threads = tuple(int(word) for word in asked.threads.split(","))
    RESULTS.mkdir(exist_ok=True)
    for precision in asked.precision:
        if precision == "bf16" and (reason := why_no_bfloat("iree-cpu")) is not None:
            print(f"bf16 is left out: {reason}")
            continue
        for name in asked.network:
            measure_one(name, precision, threads, asked.rounds)


def measure_one(name: str, precision: str, threads: tuple[int, ...], rounds: int) -> None:
    """Prints the table and writes the results."""
    module = mnetdsl.load(name).with_weights("random:1").optimized()
    request = Request(module, threads=threads, against=ENGINES[precision], rounds=rounds, precision=precision)
    report = measure("iree-cpu", request)
    table = report.table()
    print("\n".join(report.heading()), end="\n\n")
    print_table(table.header, table.rows, table.right)
    print("\n" + "\n".join(report.notes()), end="\n\n")
    sys.stdout.flush()
    suffix = "" if precision == "f32" else f"_{precision}"
    (RESULTS / f"host_{name}{suffix}.json").write_text(json.dumps(report.to_json(), indent=2) + "\n")


if __name__ == "__main__":
    main()
