"""Weights made up from a seed, for work on shapes, memory and agreement before anything is trained.

Each tensor depends on the seed and its own name only, so that a layer added elsewhere changes no other. The values
are such that activations keep their size through any depth: a filter has variance 1 / (fan_in * E[x^2])
(He et al. 2015, eq. 7, with E[x^2] of the very input in place of its 1/2 for rectified ones), and batch
normalization finds inputs near its statistics, which are themselves off by a little, as trained ones are.
Only exact integer draws and correctly rounded arithmetic are used: the bits are the same on every machine.
"""

from __future__ import annotations

import hashlib
from math import sqrt
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.derivation import NUMBERS, Derivation
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.ops.elementwise import Add, Mul, Sub
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.types import ElementType
from mnetdsl.weights.expected import Expected, expected_weights
from mnetdsl.weights.random_quantized import QUANTIZED_RANGES, fan_in, quantized_weight

_SECOND_MOMENT = {
    "relu": 0.50,
    "relu6": 0.50,
    "hard_swish": 0.35,
    "silu": 0.36,
    "gelu": 0.43,
    "tanh": 0.39,
    "sigmoid": 0.29,
    "hard_sigmoid": 0.28,
}
"""E[f(x)^2] for x normally distributed with mean 0 and variance 1."""
_RANGES: dict[str, tuple[float, float]] = {
    "scale": (0.8, 1.2),
    "offset": (-0.2, 0.2),
    "mean": (-0.2, 0.2),
    "variance": (0.8, 1.25),
    "bias": (-0.1, 0.1),
}
"""Operand -> smallest and largest value."""
_SMALLEST_MOMENT = 1e-3


def random_weights(module: Module, seed: int) -> dict[str, NDArray[np.generic]]:
    """Values for every constant of `module` by resource name; equal seeds and names give equal bits."""
    moments = _second_moments(module)
    return {name: _tensor(item, seed, moments) for name, item in expected_weights(module).items()}


def _draws(item: Expected, seed: int) -> NDArray[np.float64]:
    return _uniform(f"{seed}:{item.name}", item.type.elements).reshape(item.type.shape)


def _tensor(item: Expected, seed: int, moments: dict[Value, float]) -> NDArray[np.generic]:
    draws = _draws(item, seed)
    if item.op is not None and item.op.type.quantization is not None and item.operand in QUANTIZED_RANGES:
        return quantized_weight(item, draws)
    low, high = _range(item, moments)
    if item.type.element is ElementType.F32:
        return cast("NDArray[np.generic]", (low + (high - low) * draws).astype(np.float32))
    limits = np.iinfo(item.type.element.dtype)
    return (limits.min + np.floor((float(limits.max) - limits.min) * draws)).astype(item.type.element.dtype)


def _uniform(key: str, count: int) -> NDArray[np.float64]:
    """`count` numbers in [0, 1) with 53 bits each. NumPy guarantees the raw stream of PCG64 across versions."""
    generator = np.random.PCG64(int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "little"))
    raw = np.asarray(generator.random_raw(count), dtype=np.uint64)
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _range(item: Expected, moments: dict[Value, float]) -> tuple[float, float]:
    if item.operand == "filter" and item.op is not None:
        moment = max(moments[item.op.operand_group("input")[0]], _SMALLEST_MOMENT)
        limit = sqrt(3.0 / (fan_in(item.op) * moment))  # a uniform distribution's variance is limit^2 / 3
        return -limit, limit
    return _RANGES.get(item.operand or "", (-1.0, 1.0))


def _second_moments(module: Module) -> dict[Value, float]:
    """E[x^2] of every value, on the assumption that filters and statistics are those of this file."""
    moments: dict[Value, float] = {port.value: 1.0 for port in module.graph.inputs}
    for op in module.graph.operations:
        stated = module.derived.get(op.resource) if isinstance(op, Constant) else None
        moments[op.result] = _moment(op, moments) if stated is None else _stated_moment(stated)
    return moments


def _moment(op: Op, moments: dict[Value, float]) -> float:
    match op:
        case Normalize():
            return _normalized_moment(op)
        case Add() | Sub():
            moment = moments[op.left] + moments[op.right]
        case Mul():
            moment = moments[op.left] * moments[op.right]
        case _ if op.opcode in _SECOND_MOMENT:
            return _SECOND_MOMENT[op.opcode] * min(moments[op.operands[0]], 1.0)
        case _ if op.opcode in ("conv2d", "depthwise_conv2d", "dense", "batch_norm", "layer_norm", "constant"):
            moment = 1.0
        case _ if op.opcode in ("avg_pool", "global_avg_pool"):
            moment = moments[op.operands[0]] / 2  # the mean of rectified values is most of what they have
        case _:
            moment = max((moments[value] for value in op.operands), default=1.0)
    activation = op.attributes.get("activation", "none")
    return moment * _SECOND_MOMENT.get(str(activation), 1.0)


def _stated_moment(derivation: Derivation) -> float:
    """Of numbers that the text states; 1 of other derived arrays."""
    values = dict(derivation.attributes).get("values") if derivation.function == NUMBERS else None
    return sum(float(value) ** 2 for value in values) / len(values) if isinstance(values, tuple) and values else 1.0


def _normalized_moment(op: Normalize) -> float:
    """Of pixels spread evenly over their range, averaged over the channels."""
    if op.input.type.element is ElementType.F32:
        return 1.0
    variance = 255.0**2 / 12.0
    center = 127.5 if op.input.type.element is ElementType.U8 else -0.5
    pairs = [(mean, op.std[min(i, len(op.std) - 1)]) for i, mean in enumerate(op.mean)]
    return sum((variance + (center - mean) ** 2) / std**2 for mean, std in pairs) / len(pairs)
