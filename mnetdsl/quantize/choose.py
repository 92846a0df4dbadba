"""The storage of every tensor: candidates by all observers, and of them the one that costs its readers least.

A tensor's own error says little: what lies below -3 is nothing to a hard-swish, and what a filter multiplies with zero
is nothing to a convolution. So each candidate is put into the operations that read the tensor, on some calibration
images, and the change of their results counts, relative to what they are. Of layers with a bias only the change beside
its mean counts, since bias correction takes that up (`tuning`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.interpreter import evaluate_op
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.quantize.apply import INDICES, named_tensors
from mnetdsl.quantize.grid import rounded, storage_for
from mnetdsl.quantize.histogram import TensorStatistics
from mnetdsl.quantize.layers import layer_of
from mnetdsl.quantize.ranges import SHARE, Range, min_max, observers
from mnetdsl.quantize.simulate import Lane, Reader, walk

Array = NDArray[np.generic]

FIXED = {
    "softmax": Quantization.per_tensor(1.0 / 256, -128),
    "sigmoid": Quantization.per_tensor(1.0 / 256, -128),
    "tanh": Quantization.per_tensor(1.0 / 128, 0),
}
"""The storages that TensorFlow Lite gives these results, whose ranges are known; no other is taken there."""
_WIDE_FIXED = 2.0**-15
ACTIVE: dict[str, Range] = {
    "hard_swish": (-3.0, float("inf")),
    "hard_sigmoid": (-3.0, 3.0),
    "relu": (0.0, float("inf")),
    "relu6": (0.0, 6.0),
}
"""Where unary functions change; outside they stay what they are at the border, and hard-swish goes on as x."""
AUTO = "auto"


@dataclass(frozen=True)
class Chosen:
    """A tensor's storage and how it came: an observer's name, or `fixed` where the operation says it."""

    storage: Storage
    observer: str


def choose_storages(
    module: Module,
    statistics: Mapping[str, TensorStatistics],
    batches: Sequence[Mapping[str, Array]],
    *,
    observer: str = AUTO,
    share: float = SHARE,
    wide: frozenset[str] = frozenset(),
    progress: Callable[[int], None] = lambda steps: None,
) -> dict[str, Chosen]:
    """A storage for each named tensor of a `quantizable` module.

    observer: a name of `OBSERVERS`, or `auto` for the best of them tensor by tensor on `batches` of inputs. share: per
    cent of the values that `percentile` keeps. wide: tensors of 16 bits, with all that was seen. progress: told of each
    operation of the search.
    """
    known = observers(share)
    found: dict[str, Chosen] = {}
    candidates: dict[Value, dict[str, Storage]] = {}
    names: dict[Value, str] = {}
    outputs = {port.value for port in module.graph.outputs}
    for name, value in named_tensors(module):
        opcode = "" if value.producer is None else value.producer.opcode
        seen = statistics[name]
        if name in wide:
            found[name] = widened(seen, Chosen(Storage(ElementType.I8), "fixed" if opcode in FIXED else "min-max"))
        elif opcode in FIXED:
            found[name] = Chosen(Storage(ElementType.I8, FIXED[opcode]), "fixed")
        elif (
            value in outputs or _read_by_indices(value) or isinstance(value.producer, Constant) or opcode == "normalize"
        ):
            found[name] = Chosen(storage_for(*min_max(seen)), "min-max")
        else:
            active = _active(value)
            tried = [observer] if observer != AUTO else list(known)
            options = {key: storage_for(*_within(known[key].choose(seen), active)) for key in tried}
            found[name] = Chosen(options[tried[0]], tried[0])
            if observer == AUTO:
                candidates[value], names[value] = options, name
    if candidates:
        losses = _losses(module, candidates, batches, progress)
        for value, options in candidates.items():
            best = min(options, key=lambda key: losses[value][key])
            found[names[value]] = Chosen(options[best], best)
    return found


def widened(seen: TensorStatistics, chosen: Chosen) -> Chosen:
    """16 bits for the tensor of `chosen`: all that was seen, with room for twice as much."""
    if chosen.observer == "fixed":
        return Chosen(Storage(ElementType.I16, Quantization.per_tensor(_WIDE_FIXED, 0)), "fixed")
    low, high = min_max(seen)
    return Chosen(storage_for(2 * low, 2 * high, ElementType.I16), "min-max")


def _read_by_indices(value: Value) -> bool:
    """Whether nothing but its order counts of `value`: its largest number is what must not be clipped."""
    return bool(value.users) and all(user.opcode in INDICES for user in value.users)


def _active(value: Value) -> Range:
    """Where at least one reader of `value` tells its numbers apart."""
    ranges = [ACTIVE.get(user.opcode, (-float("inf"), float("inf"))) for user in value.users]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _within(bounds: Range, active: Range) -> Range:
    return min(max(bounds[0], active[0]), 0.0), max(min(bounds[1], active[1]), 0.0)


def _losses(
    module: Module,
    candidates: Mapping[Value, Mapping[str, Storage]],
    batches: Sequence[Mapping[str, Array]],
    progress: Callable[[int], None],
) -> dict[Value, dict[str, float]]:
    """What the readers of each value lose by each candidate, in shares of their results' power, in sum."""
    losses = {value: dict.fromkeys(options, 0.0) for value, options in candidates.items()}
    operands: dict[Op, list[list[Array]]] = {}

    def before(op: Op, reader: Reader) -> None:
        if op.opcode not in INDICES and any(value in candidates for value in op.operands):
            operands[op] = _operands(op, reader, module.resources, len(batches))

    def after(op: Op, results: list[Array]) -> list[Array]:
        arrays = operands.pop(op, [])
        for value in dict.fromkeys(op.operands if arrays else ()):
            if value in candidates:
                for key, loss in _reader_losses(op, value, candidates[value], arrays, results, module).items():
                    losses[value][key] += loss
        progress(1)
        return results

    walk(module, [Lane(batch, module.resources) for batch in batches], before, after)
    return losses


def _operands(op: Op, reader: Reader, resources: Mapping[str, Array], lanes: int) -> list[list[Array]]:
    """For each lane the arrays of the operands."""
    columns = [
        [resources[value.producer.resource]] * lanes if isinstance(value.producer, Constant) else reader.lanes(value)
        for value in op.operands
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def _reader_losses(
    op: Op,
    value: Value,
    options: Mapping[str, Storage],
    operands: Sequence[Sequence[Array]],
    results: Sequence[Array],
    module: Module,
) -> dict[str, float]:
    layer = layer_of(op)
    corrected = layer is not None and layer.bias is not None
    power = sum(float(np.square(result, dtype=np.float64).sum()) for result in results) or 1.0
    found: dict[str, float] = {}
    known: dict[Storage, float] = {}
    for key, storage in options.items():
        if storage not in known:
            square, total, count = 0.0, np.zeros(op.type.shape[-1]), 0
            for arrays, result in zip(operands, results, strict=True):
                changed = [
                    rounded(np.asarray(array, np.float32), storage) if each is value else array
                    for each, array in zip(op.operands, arrays, strict=True)
                ]
                given = np.asarray(evaluate_op(op, changed, module.resources), np.float32)
                lost = given - np.asarray(result, np.float32)
                square += float(np.square(lost, dtype=np.float64).sum())
                rows = lost.reshape(-1, lost.shape[-1])
                total += rows.sum(axis=0, dtype=np.float64)
                count += len(rows)
            known[storage] = (square - (float(np.square(total).sum()) / count if corrected else 0.0)) / power
        found[key] = known[storage]
    return found
