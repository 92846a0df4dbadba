"""Runs a float network on calibration images and keeps what each tensor was seen to hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.quantize.apply import named_tensors
from mnetdsl.quantize.histogram import TensorStatistics
from mnetdsl.quantize.simulate import Lane, walk

Array = NDArray[np.generic]


def observe(
    module: Module,
    batches: Iterable[Mapping[str, Array]],
    progress: Callable[[int], None] = lambda images: None,
) -> dict[str, TensorStatistics]:
    """Statistics of the named tensors of a `quantizable` module with weights, over all `batches` of inputs.

    progress: told how many images were seen. Raises MN1809 for the first layer that gives NaN or infinity.
    """
    named = dict(named_tensors(module))
    found: dict[str, TensorStatistics] = {}

    def add(name: str, array: Array) -> None:
        values = np.asarray(array, np.float32)
        if not np.isfinite(values).all():
            raise MnetError(_not_finite(module, name, values))
        if values.ndim < 2:
            values = values.reshape(1, -1)
        found.setdefault(name, TensorStatistics.of(values.shape[-1])).add(values)

    def after(op: Op, results: list[Array]) -> list[Array]:
        if op.name in named:
            for result in results:
                add(op.name, result)
        return results

    for name, value in named.items():
        if isinstance(value.producer, Constant):
            add(name, module.resources[value.producer.resource])
    for batch in batches:
        for port in module.graph.inputs:
            if port.name in named and port.value is named[port.name]:
                add(port.name, batch[port.name])
        walk(module, [Lane(batch, module.resources)], after=after)
        progress(len(next(iter(batch.values()))))
    return {name: found[name] for name in named if name in found}


def _not_finite(module: Module, name: str, values: NDArray[np.float32]) -> Diagnostic:
    place = next((op.location for op in module.graph.operations if op.name == name), None)
    wrong = values[~np.isfinite(values)]
    kind = "NaN" if np.isnan(wrong).any() else "infinity"
    return error(
        "MN1809",
        f"`{name}` gives {kind} on calibration images: {wrong.size} of {values.size} numbers",
        location="" if place is None else str(place),
        help="the float network itself is broken: `mnet validate` names the first layer whose weights or inputs are",
    )
