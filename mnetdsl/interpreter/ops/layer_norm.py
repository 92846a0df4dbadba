"""Layer normalization."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.ir.ops.layer_norm import LayerNorm


def layer_norm(op: LayerNorm, frame: Frame) -> Array:
    """Mean and variance in float64, in two passes; what they give is rounded to float32 once, before scale."""
    x = frame[op.input]
    mean = x.mean(axis=-1, keepdims=True, dtype=np.float64)
    centered = x - mean
    variance = np.square(centered).mean(axis=-1, keepdims=True)
    normalized = (centered / np.sqrt(variance + op.epsilon)).astype(np.float32)
    result: Array = normalized * frame[op.scale] + frame[op.offset]
    return result
