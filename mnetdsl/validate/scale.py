"""The magnitude that a layer's rounding errors belong to: that of the sums in front of its activation.

relu6 cuts sums of hundreds to 6, and the errors of hundreds are left in what it lets through. Batch normalization of
trained networks makes such layers: where a channel hardly varies, its filter is scaled up until it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnetdsl.interpreter import evaluate_op
from mnetdsl.interpreter.ops.activation import ACTIVATIONS
from mnetdsl.ir.clone import clone_op
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType

Array = NDArray[np.generic]


@dataclass
class Sums:
    """Watches one run of `module` on `inputs` and evaluates its layers again, each without its activation."""

    module: Module
    inputs: Mapping[str, Array]
    peaks: dict[str, float] = field(default_factory=dict)
    """Largest magnitude in front of the activation, by layer name; layers without activation are left out."""

    def __post_init__(self) -> None:
        self._values: dict[Value, Array] = {
            port.value: self.inputs[port.name] for port in self.module.graph.inputs if port.name in self.inputs
        }
        self._unread = {op.result: len(op.result.users) for op in self.module.graph.operations}

    def observe(self, op: Op, result: Array) -> None:
        """Called with each operation but constants, in order."""
        sums = self._sums(op)
        if sums is not None and sums.size:
            with np.errstate(invalid="ignore"):
                self.peaks[op.name] = float(np.abs(sums).max())
        self._values[op.result] = result
        for value in op.operands:
            self._unread[value] = self._unread.get(value, 0) - 1
            if self._unread[value] == 0:
                self._values.pop(value, None)

    def _sums(self, op: Op) -> Array | None:
        """What the activation of `op` reads; None where it has none."""
        if any(value.type.element is not ElementType.F32 for value in (*op.operands, op.result)):
            return None
        if op.opcode in ACTIVATIONS:
            return self._array(op.operands[0])
        if op.attributes.get("activation", "none") == "none":
            return None
        plain = clone_op(op, {value: Value(value.type) for value in op.operands})
        plain.attributes["activation"] = "none"
        return evaluate_op(plain, [self._array(value) for value in op.operands], {})

    def _array(self, value: Value) -> Array:
        if isinstance(value.producer, Constant):
            return self.module.resources[value.producer.resource]
        return self._values[value]
