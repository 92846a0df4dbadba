"""RAM of int8 networks of the zoo on a Cortex-M4: whole image and by rows, as `mnet compile` plans it.

    python benchmarks/mcu_ram.py [--resolution 96 ...]

Shapes alone decide, so no weights are needed. Prints the table of docs/microcontrollers.md.
"""

from __future__ import annotations

import argparse
import sys

import mnetdsl
from mnetdsl.backends.c import plan_memory, plan_rows
from mnetdsl.cli.script import run_script
from mnetdsl.ir.core import Module
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.passes.pipelines import optimize
from mnetdsl.quantize.apply import apply_quantization, quantizable, tensor_names
from mnetdsl.sema.quantization import QuantizedTensor
from mnetdsl.targets import CORES

NETWORKS: tuple[tuple[str, float], ...] = (
    ("mobilenet_v1", 0.25),
    ("mobilenet_v1", 1.0),
    ("mobilenet_v2", 0.35),
    ("mobilenet_v2", 1.0),
    ("mobilenet_v3_small", 1.0),
    ("mobilenet_v3_large", 1.0),
)
RESOLUTIONS = (96, 128, 160, 224)
CORE = "cortex-m4"


def int8(name: str, alpha: float, resolution: int) -> Module:
    """The network with a made-up grid for each tensor."""
    module = mnetdsl.load(name, alpha=alpha, resolution=resolution).module
    storage = Storage(ElementType.I8, Quantization.per_tensor(6 / 255, -128))
    rows = [QuantizedTensor(tensor, storage, None, False, False) for tensor in tensor_names(quantizable(module))]
    return optimize(apply_quantization(module, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, action="append", choices=RESOLUTIONS)
    chosen = parser.parse_args().resolution or RESOLUTIONS
    print("| Network | Resolution | Image | Arena, whole image | Arena, by rows | Rows end at |")
    print("|---|---|---|---|---|---|")
    for name, alpha in NETWORKS:
        for resolution in chosen:
            module, core = int8(name, alpha, resolution), CORES[CORE]
            image = module.graph.inputs[0].value.type.byte_size
            whole, rows = plan_memory(module, core=core).arena_bytes, plan_rows(module, core)
            end = rows.buffers[0].size if rows.buffers else 0
            cells = (
                f"{name} {alpha:g}",
                str(resolution),
                f"{image:,}",
                f"{whole:,}",
                f"{rows.arena_bytes:,}",
                f"{end:,}",
            )
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(run_script(main))
