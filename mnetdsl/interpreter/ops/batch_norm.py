"""Batch normalization with fixed statistics."""

from __future__ import annotations

import numpy as np

from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.interpreter.ops.bands import aligned_empty, band_height, bands, repeated
from mnetdsl.ir.ops.batch_norm import BatchNorm

BAND_ELEMENTS = 64 * 1024
"""Of a band, which three passes go over."""


def batch_norm(op: BatchNorm, frame: Frame) -> Array:
    """(input - mean) * gain + offset, where gain = scale / sqrt(variance + epsilon) is rounded once from float64."""
    x = frame[op.input]
    variance = frame[op.variance].astype(np.float64)
    gain = (frame[op.scale] / np.sqrt(variance + op.epsilon)).astype(np.float32)
    width = x.shape[-2] if x.ndim > 2 else 1
    mean, gain, offset = (repeated(channels, width) for channels in (frame[op.mean], gain, frame[op.offset]))
    source = x.reshape(-1, mean.size)
    output = aligned_empty(*x.shape)
    rows = output.reshape(source.shape)
    for start, stop in bands(len(rows), band_height(len(rows), mean.size, BAND_ELEMENTS)):
        block = rows[start:stop]
        np.subtract(source[start:stop], mean, out=block)
        np.multiply(block, gain, out=block)
        np.add(block, offset, out=block)
    return output
