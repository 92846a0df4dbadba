"""Fully connected layer of stored integers."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.quantized.layer import Layer
from mnetdsl.ir.ops.dense import Dense


def dense(op: Dense, frame: Frame) -> Array:
    layer, q = Layer(op, frame), frame[op.input]
    result: Array = np.empty((q.shape[0], op.type.shape[1]), layer.result.dtype)
    layer.finish(1)(np.matmul(layer.numbers(q), layer.filter), result)
    return result
