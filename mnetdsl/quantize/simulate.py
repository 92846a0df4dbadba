"""The float graph with chosen results rounded to their integers: what quantization costs, before there are integers.

Also how a graph is walked layer by layer over all calibration images at once, so that a layer's weights can be chosen
when what reaches it is known and before its result is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.interpreter import evaluate_op
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import Storage
from mnetdsl.quantize.grid import rounded

Array = NDArray[np.generic]
Floats = NDArray[np.float32]
Inputs = Mapping[str, Array]


@dataclass
class Lane:
    """One batch of images on its way through a graph, with the weights it meets."""

    inputs: Inputs
    resources: Mapping[str, Array]


class Reader:
    """What reaches an operation, lane by lane."""

    def __init__(self, values: Sequence[dict[Value, Array]]) -> None:
        self._values = values

    def lanes(self, value: Value) -> list[Array]:
        """Arrays [N, …], one for each lane."""
        return [values[value] for values in self._values]


Before = Callable[[Op, Reader], None]
After = Callable[[Op, list[Array]], list[Array]]


def walk(
    module: Module, lanes: Sequence[Lane], before: Before | None = None, after: After | None = None
) -> list[dict[str, Array]]:
    """Outputs by name for each lane; each operation runs on all lanes before the next one does.

    `before` may change the lanes' resources, which are read when an operation needs them. `after` is given the
    results of all lanes and says what the readers of the operation get. Values that nobody reads any more are released.
    """
    graph = module.graph
    values: list[dict[Value, Array]] = [{port.value: lane.inputs[port.name] for port in graph.inputs} for lane in lanes]
    steps = [(op, op.operands) for op in graph.operations if not isinstance(op, Constant)]
    unread = Counter(port.value for port in graph.outputs)
    for _, operands in steps:
        unread.update(operands)
    for op, operands in steps:
        if before is not None:
            before(op, Reader(values))
        results = [_evaluate(op, held, lane.resources) for held, lane in zip(values, lanes, strict=True)]
        if after is not None:
            results = after(op, results)
        for held, result in zip(values, results, strict=True):
            if unread[op.result]:
                held[op.result] = result
        for value in operands:
            unread[value] -= 1
            if not unread[value] and not isinstance(value.producer, Constant):
                for held in values:
                    del held[value]
    return [{port.name: held[port.value] for port in graph.outputs} for held in values]


def _evaluate(op: Op, held: Mapping[Value, Array], resources: Mapping[str, Array]) -> Array:
    arrays = [
        resources[value.producer.resource] if isinstance(value.producer, Constant) else held[value]
        for value in op.operands
    ]
    return evaluate_op(op, arrays, resources)


def peak_bytes(module: Module) -> int:
    """Bytes of the values that are alive at once in `walk`, for one image."""
    unread = Counter(port.value for port in module.graph.outputs)
    steps = [op for op in module.graph.operations if not isinstance(op, Constant)]
    for op in steps:
        unread.update(op.operands)
    alive = sum(port.value.type.byte_size for port in module.graph.inputs)
    peak = alive
    for op in steps:
        alive += op.type.byte_size
        peak = max(peak, alive)
        for value in op.operands:
            unread[value] -= 1
            if not unread[value] and not isinstance(value.producer, Constant):
                alive -= value.type.byte_size
    return peak


def stored(op: Op, result: Array, storages: Mapping[str, Storage]) -> Array:
    """`result` as it comes out of the storage that its tensor has; itself where it has none."""
    storage = storages.get(op.name)
    if storage is None:
        return result
    return rounded(np.asarray(result, np.float32), storage)
