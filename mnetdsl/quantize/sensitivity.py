"""What each tensor alone costs the network's outputs: all others real, weights real, this one as it is stored.

Noise of different tensors is next to independent, so what they cost together is close to the sum: the ranking says
where more bits are worth it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from mnetdsl.interpreter import evaluate_op
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import Storage
from mnetdsl.quantize.apply import named_tensors
from mnetdsl.quantize.grid import rounded

Array = NDArray[np.generic]
Floats = NDArray[np.float32]


class Recording:
    """All values of a float module on one batch of images; changes are followed to the outputs."""

    def __init__(self, module: Module, batch: Mapping[str, Array]) -> None:
        self.module = module
        self.values: dict[Value, Array] = {port.value: batch[port.name] for port in module.graph.inputs}
        self.steps: list[Op] = []
        for op in module.graph.operations:
            if isinstance(op, Constant):
                self.values[op.result] = module.resources[op.resource]
            else:
                self.steps.append(op)
                self.values[op.result] = self._evaluate(op, self.values)

    def _evaluate(self, op: Op, values: Mapping[Value, Array]) -> Array:
        arrays = [values[value] if value in values else self.values[value] for value in op.operands]
        return evaluate_op(op, arrays, self.module.resources)

    def output_noise(self, value: Value, storage: Storage) -> float:
        """Noise of the outputs in shares of their power, with `value` alone as it is stored; the mean over outputs."""
        changed: dict[Value, Array] = {value: rounded(np.asarray(self.values[value], np.float32), storage)}
        for op in self.steps:
            if op.result is not value and any(operand in changed for operand in op.operands):
                changed[op.result] = self._evaluate(op, changed)
        shares = []
        for port in self.module.graph.outputs:
            exact = np.asarray(self.values[port.value], np.float64)
            lost = np.asarray(changed.get(port.value, exact), np.float64) - exact
            shares.append(float(np.square(lost).sum()) / (float(np.square(exact).sum()) or 1.0))
        return float(np.mean(shares)) if shares else 0.0


def sensitivity(
    module: Module,
    storages: Mapping[str, Storage],
    batch: Mapping[str, Array],
    progress: Callable[[int], None] = lambda tensors: None,
) -> dict[str, float]:
    """Tensor -> noise of the outputs in shares of their power where it alone is stored.

    module: `quantizable`, with weights. batch: inputs [N, …]; all values of it are held in memory.
    """
    recording = Recording(module, batch)
    found: dict[str, float] = {}
    for name, value in named_tensors(module):
        if name in storages:
            found[name] = recording.output_noise(value, storages[name])
            progress(1)
    return found
