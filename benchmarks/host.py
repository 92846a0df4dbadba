"""Float networks on this processor, ours beside other engines; see `mnetdsl.bench.host` for how it is measured.

    python benchmarks/host.py [--network mobilenet_v2 ...] [--threads 1,2] [--rounds 9]

Needs the extra [bench]. Prints a table a network and writes benchmarks/results/host_<network>.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import mnetdsl
from mnetdsl.bench import Request, measure
from mnetdsl.cli.console import print_table

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v4_conv_small")
ENGINES = ("iree", "litert", "onnxruntime", "openvino")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", default=list(NETWORKS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    threads = tuple(int(word) for word in asked.threads.split(","))
    RESULTS.mkdir(exist_ok=True)
    for name in asked.network:
        module = mnetdsl.load(name).with_weights("random:1").optimized()
        report = measure("iree-cpu", Request(module, threads=threads, against=ENGINES, rounds=asked.rounds))
        table = report.table()
        print("\n".join(report.heading()), end="\n\n")
        print_table(table.header, table.rows, table.right)
        print("\n" + "\n".join(report.notes()), end="\n\n")
        sys.stdout.flush()
        (RESULTS / f"host_{name}.json").write_text(json.dumps(report.to_json(), indent=2) + "\n")


if __name__ == "__main__":
    main()
