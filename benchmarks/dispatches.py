"""Where a float network's time goes on this processor, kernel by kernel: what joining layers is decided by.

    python benchmarks/dispatches.py mobilenet_v4_conv_small [--threads 1 2] [--runs 60]

Each workgroup of each kernel notes the processor's time stamp when it begins and when it ends (x86-64). Printed are
medians over half of the runs, the faster one, in microseconds: how long after the last workgroup of the kernel before
the first one began (`gap`), from then to the end of the last one (`span`), the time of all workgroups together
(`work`), and what the span is longer than an even share of the work (`uneven`).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from iree.compiler import ir as mlir

import mnetdsl
from mnetdsl.backends.iree.compiler import compile_mlir
from mnetdsl.backends.iree.emission import FUNCTION, emit
from mnetdsl.backends.iree.kernels.bfloat import intrinsic
from mnetdsl.backends.iree.kernels.executables import Buffer, Executables, Grid, Kernel
from mnetdsl.backends.iree.kernels.language import Memory, MlirValue, Position
from mnetdsl.backends.iree.kernels.machine import isa_of
from mnetdsl.backends.iree.resident import Resident
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.bench.engines import calm_scheduling
from mnetdsl.bench.float_module import behind_preprocessing
from mnetdsl.bench.int8_module import random_inputs
from mnetdsl.cli.console import print_table
from mnetdsl.cli.script import count, run_script

NOTED = 2
"""Numbers of a workgroup: its first time stamp, its last one."""
WARM_UP = 150
"""Runs before the first that counts."""


@dataclass(frozen=True)
class Stamped:
    """`kernel`, with the notes of each workgroup as one more output."""

    kernel: Kernel

    @property
    def name(self) -> str:
        return self.kernel.name

    @property
    def grid(self) -> Grid:
        return self.kernel.grid

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return self.kernel.inputs

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (*self.kernel.outputs, Buffer(self.grid[0] * self.grid[1] * NOTED, "i64"))

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        *others, notes = memories
        long = mlir.IntegerType.get_signless(64)
        at = (group[0] + group[1] * self.grid[0]) * NOTED
        notes.store_scalar(intrinsic("llvm.readcyclecounter", [], long), at)
        self.kernel.emit(group, *others)
        notes.store_scalar(intrinsic("llvm.readcyclecounter", [], long), at + 1)


class Stamping(Executables):
    """Stamps each kernel; its notes are results of the function."""

    def __init__(self, body: Any) -> None:
        super().__init__(body)
        self.names: list[str] = []

    def dispatch(self, kernel: Any, arguments: Any) -> list[MlirValue]:
        *results, notes = super().dispatch(Stamped(kernel), arguments)
        self.names.append(kernel.name)
        self.results.append(notes)
        return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--threads", type=count, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=count, default=60)
    asked = parser.parse_args()
    for threads in asked.threads:
        profile(asked.network, threads, asked.runs)


def profile(network: str, threads: int, runs: int) -> None:
    """Prints the table of `network` on `threads` threads."""
    module = behind_preprocessing(mnetdsl.load(network).with_weights("random:1").optimized())
    target = TARGETS["iree-cpu"]
    stampings: list[Stamping] = []

    def stamping(body: Any) -> Stamping:
        stampings.append(Stamping(body))
        return stampings[-1]

    text = emit(module, isa=isa_of(target), threads=threads, executables=stamping).text
    resident = Resident(compile_mlir(text, network, target), FUNCTION, random_inputs(module), threads)
    calm_scheduling()
    names = stampings[0].names
    for _ in range(WARM_UP):
        resident.step()
    ticks = _ticks_a_microsecond(resident, len(names))
    found = np.array([_times(resident, len(names)) for _ in range(runs)]) / ticks
    faster = found[np.argsort(found[:, -1, 1])[: max(1, runs // 2)]]
    starts, ends, work = np.median(faster, axis=0).T
    gaps = starts - np.concatenate([[0.0], ends[:-1]])
    uneven = ends - starts - work / threads
    parts = f"work {work.sum() / threads:.0f}, gaps {gaps.sum():.0f}, uneven {uneven.sum():.0f}"
    print(f"{network}, {threads} thread{'s' * (threads > 1)}: {ends[-1]:.0f} us ({parts})", end="\n\n")
    columns = [gaps, ends - starts, work, uneven]
    rows = [(name, *(f"{column[at]:.1f}" for column in columns)) for at, name in enumerate(names)]
    print_table(("kernel", "gap", "span", "work", "uneven"), rows, (False, True, True, True, True))
    print(flush=True)


def _times(resident: Resident, kernels: int) -> list[tuple[float, float, float]]:
    """A run's (start, end, sum of the workgroups' times) of each kernel, in ticks since the first one began."""
    for _ in range(4):  # what fetching the notes of the run before has disturbed
        resident.step()
    notes = [array.reshape(-1, NOTED) for array in resident.result()[-kernels:]]
    begin = notes[0][:, 0].min()
    return [(each[:, 0].min() - begin, each[:, 1].max() - begin, (each[:, 1] - each[:, 0]).sum()) for each in notes]


def _ticks_a_microsecond(resident: Resident, kernels: int) -> float:
    """Of the time stamp counter, by the clock."""

    def now() -> tuple[float, float]:
        resident.step()
        return time.perf_counter() * 1e6, float(resident.result()[-kernels].reshape(-1, NOTED)[0, 0])

    (before, first), _, (after, last) = now(), time.sleep(0.3), now()
    return (last - first) / (after - before)


if __name__ == "__main__":
    sys.exit(run_script(main))
