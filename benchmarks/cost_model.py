"""Fits the instruction costs of `mnet summary --target` to kernels measured in QEMU, and tries them on other networks.

    python -m benchmarks.cost_model [--core cortex-m4 ...]

Measures the networks of FIT layer by layer, finds for every kernel and core the non-negative figures with the least
squared relative errors, writes them to mnetdsl/cost/instructions.json, and prints how far the totals of the networks of
HELD lie from what QEMU counts; those are no part of the fit. Cores that are not named keep their figures. Run it again
whenever a kernel changes: some minutes a core. Measurements stay in build/cost_model; --again takes them from there.
Networks of TensorFlow Lite are in the folder that MNET_DATA names.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from benchmarks.mcu import imported, made_up
from mnetdsl.backends.c import Options, generate
from mnetdsl.backends.qemu.machines import MACHINES
from mnetdsl.backends.qemu.measurement import measure
from mnetdsl.cli.script import run_script
from mnetdsl.cost.instructions import Cost, Work, expected, forget
from mnetdsl.images import random_input
from mnetdsl.interpreter.quantized.grids import grid
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.plan.rows import Bands

CACHE = Path(__file__).parents[1] / "build" / "cost_model"
TARGET = Path(__file__).parents[1] / "mnetdsl" / "cost" / "instructions.json"
UNEVEN = "uneven"
"""Of a network: some channels of its depthwise layers are far from the others, as trained networks have them."""
FIT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mobilenet_v1", {"alpha": 0.25, "resolution": 128}),
    ("mobilenet_v1", {"alpha": 0.5, "resolution": 64, "classes": 10}),
    ("mobilenet_v1", {"alpha": 0.75, "resolution": 96, "classes": 10}),
    ("mobilenet_v1", {"alpha": 0.25, "resolution": 96, "classes": 10, UNEVEN: True}),
    ("mobilenet_v2", {"alpha": 0.35, "resolution": 128, "classes": 10}),
    ("mobilenet_v2", {"alpha": 0.5, "resolution": 64, "classes": 100}),
    ("mobilenet_v2", {"alpha": 1.0, "resolution": 64, "classes": 10}),
    ("mobilenet_v3_small", {"alpha": 0.75, "resolution": 96, "classes": 10}),
    ("mobilenet_v3_small", {}),
    ("mobilenet_v1_0.25_224_quant", {}),
)
ROWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mobilenet_v1", {"alpha": 0.25, "resolution": 64, "classes": 10}),
    ("mobilenet_v2", {"alpha": 0.35, "resolution": 64, "classes": 10}),
    ("mobilenet_v1_0.25_224_quant", {}),
)
"""The last one has no layer in front of its first window, so that rows of the image are copied."""
MOVES = ("move_rows", "copy_row")
HELD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("vww_96", {}),
    ("vww_96_folded", {}),
    ("mobilenet_v2", {}),
    ("mobilenet_v1", {"alpha": 0.5, "resolution": 160, "classes": 10}),
    ("mobilenet_v2", {"alpha": 0.35, "resolution": 96}),
    ("mobilenet_v2", {"alpha": 1.0, "resolution": 128, "classes": 100}),
    ("mobilenet_v3_small", {"alpha": 1.0, "resolution": 128, "classes": 10}),
)
_DOUBT = 1e-5
"""Weight of small figures beside small errors."""
Row = tuple[tuple[Cost, ...], int]
"""Calls of a layer, and its instructions."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", nargs="+", choices=list(MACHINES), default=list(MACHINES))
    parser.add_argument("--again", action="store_true", help="take measurements that are there already")
    asked = parser.parse_args()
    model = json.loads(TARGET.read_text()) if TARGET.is_file() else {"figures": {}, "held": {}}
    for core in asked.core:
        rows = [row for name, parameters in FIT for row in measured(name, parameters, core, asked.again)]
        model["figures"][core] = figures(rows) | moves(core)
        TARGET.write_text(text(model))
        forget()
        model["held"][core] = dict(tried(core, asked.again))
        TARGET.write_text(text(model))


def module_of(name: str, parameters: dict[str, Any]) -> Module | None:
    if not parameters:
        return imported(name)
    module = made_up(name, {key: value for key, value in parameters.items() if key != UNEVEN})
    if UNEVEN in parameters:
        _make_uneven(module)
    return module


def _make_uneven(module: Module) -> None:
    """Every twentieth channel has a bias and a factor beyond 32 bits together: no cheap form is proven for it."""
    resources: dict[str, Any] = module.resources
    for op in module.graph.operations:
        if isinstance(op, DepthwiseConv2d):
            scale, bias = (_resource(value) for value in (op.filter_scale, op.bias))
            ratio = grid(op.type).scale / grid(op.input.type).scale
            resources[scale], resources[bias] = resources[scale].copy(), resources[bias].copy()
            resources[scale][::20] = np.float32(2 * ratio)
            resources[bias][::20] = 1 << 30


def _resource(value: Value | None) -> str:
    producer = None if value is None else value.producer
    assert isinstance(producer, Constant)
    return producer.resource


def title(name: str, parameters: dict[str, Any]) -> str:
    return " ".join([name, *(f"{key}={value}" for key, value in parameters.items())])


def measured(name: str, parameters: dict[str, Any], core: str, again: bool) -> list[Row]:
    """The layers of a network and their instructions; none where its file is not there."""
    file = CACHE / core / f"{title(name, parameters)}.json"
    module = module_of(name, parameters)
    if module is None:
        print(f"{name} is left out: its file is not there")
        return []
    package = generate(module, options=Options(core=MACHINES[core].core))
    if again and file.is_file():
        counted = json.loads(file.read_text())
    else:
        inputs = {port.name: random_input(port, 1) for port in module.graph.inputs}
        found = measure(module, core, inputs)
        counted = [layer.instructions for layer in found.layers]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(counted))
        print(f"{core}: {title(name, parameters)}: {found.instructions:,}", flush=True)
    return list(zip(package.costs, counted, strict=True))


def figures(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Of all kernels, by all their keys: the most exact ones first, then those that stand in for others."""
    found: dict[str, list[float]] = {}
    for level in range(max(len(cost.work.keys) for costs, _ in rows for cost in costs)):
        keyed = [([(_key(cost.work, level), cost.work.sizes) for cost in costs], count) for costs, count in rows]
        found = {**_fit(keyed), **found}
    return found


def _key(call: Work, level: int) -> str:
    return call.keys[min(level, len(call.keys) - 1)]


def _fit(rows: Sequence[tuple[Sequence[tuple[str, tuple[int, ...]]], int]]) -> dict[str, list[float]]:
    """Non-negative least squares of relative errors of all kernels at once, large layers counting more."""
    first: dict[str, int] = {}
    width = 0
    for key, sizes in (call for calls, _ in rows for call in calls):
        if key not in first:
            first[key] = width
            width += len(sizes)
    matrix = np.zeros((len(rows), width))
    lengths: dict[str, int] = {}
    for row, (calls, _) in zip(matrix, rows, strict=True):
        for key, sizes in calls:
            row[first[key] : first[key] + len(sizes)] += sizes
            lengths[key] = len(sizes)
    counts = np.array([count for _, count in rows], np.float64)
    weight = 1 / np.maximum(counts, 1) ** 0.75
    scaled = matrix * weight[:, None]
    scale = np.maximum(np.linalg.norm(scaled, axis=0), 1e-30)
    # Where measurements leave open which loop takes how much, it is the one that turns often.
    matrix = np.vstack([scaled / scale, _DOUBT * np.diag(1 / scale)])
    values, _ = nnls(matrix, np.concatenate([counts * weight, np.zeros(width)]), maxiter=50 * width)
    values = values / scale
    return {key: [float(f"{v:.6g}") for v in values[at : at + lengths[key]]] for key, at in first.items()}


def moves(core: str) -> dict[str, list[float]]:
    """Of calls that belong to no layer, where layers run by rows: rows that move, rows of the image that are copied.

    They are what the total has beyond the layers; fitted over networks and bands that differ in both.
    """
    sizes, counts, weights = [], [], []
    for name, parameters in ROWS:
        module = module_of(name, parameters)
        if module is None:
            continue
        inputs = {port.name: random_input(port, 1) for port in module.graph.inputs}
        for band in (1, 4):
            options = Options(core=MACHINES[core].core, rows=True, bands=Bands(band))
            found = measure(module, core, inputs, options=options)
            costs = [cost for layer in generate(module, options=options).costs for cost in layer]
            own = [[cost for cost in costs if cost.work.keys == (kernel,)] for kernel in MOVES]
            sizes.append([sum(cost.work.sizes[i] * cost.times for cost in part) for part in own for i in (0, 1)])
            counts.append(max(0, found.instructions - sum(layer.instructions for layer in found.layers)))
            weights.append(1 / found.instructions)
    known, weight = np.array(sizes, np.float64), np.array(weights)
    scale = np.maximum(known.max(axis=0), 1)
    fitted, _ = nnls(known / scale * weight[:, None], np.array(counts, np.float64) * weight)
    rounded = [float(f"{value:.6g}") for value in fitted / scale]
    return {kernel: rounded[2 * number : 2 * number + 2] for number, kernel in enumerate(MOVES)}


def tried(core: str, again: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, parameters in HELD:
        rows = measured(name, parameters, core, again)
        if not rows:
            continue
        predicted = [expected(core, layer) for layer, _ in rows]
        counted = sum(instructions for _, instructions in rows)
        unknown = sum(value is None for value in predicted)
        total = sum(value or 0 for value in predicted)
        print(f"  predicted {total:,}: {total / counted - 1:+.1%}, {unknown} layers unknown", flush=True)
        worst = sorted(zip(rows, predicted, strict=True), key=lambda item: -abs((item[1] or 0) - item[0][1]))[:3]
        for (layer, instructions), value in worst:
            print(f"    {layer[-1].work.keys[0]}: {value} of {instructions}")
        yield title(name, parameters), {"counted": counted, "predicted": total, "unknown": unknown}


def text(model: dict[str, Any]) -> str:
    """A line a kernel, so that changes can be read."""
    lines = ["{", '  "figures": {']
    cores = sorted(model["figures"])
    for core in cores:
        kernels = model["figures"][core]
        lines.append(f'    "{core}": {{')
        rows = [f'      "{key}": {json.dumps(kernels[key])}' for key in sorted(kernels)]
        lines += [",\n".join(rows), "    }" + ("," if core != cores[-1] else "")]
    lines += ["  },", f'  "held": {json.dumps(model["held"], sort_keys=True)}', "}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run_script(main))
