"""What both workers share: requests from the tests as lines of JSON, and the random numbers that weights come from.

Runs in the environments of the reference libraries, so it imports NumPy alone.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Answer = dict[str, Any]
SMALLEST_VARIANCE = 0.05
"""Of a batch normalization: where pixels hardly differ, the next layers would see nothing but amplified rounding."""


def images(seed: int, resolution: int) -> NDArray[np.uint8]:
    """Two pictures `[2, H, W, 3]` of pixels 0 to 255: noise, and noise in patches of 8 pixels."""
    generator = np.random.default_rng(seed)
    side = -(-resolution // 8)
    patches = generator.integers(0, 256, (side, side, 3)).repeat(8, 0).repeat(8, 1)[:resolution, :resolution]
    return np.stack([generator.integers(0, 256, (resolution, resolution, 3)), patches]).astype(np.uint8)


class Randomizer:
    """Values for each kind of weight, from one seed."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def filter(self, shape: tuple[int, ...], inputs: int) -> NDArray[np.float32]:
        """A filter whose outputs sum `inputs` products, so that variance is kept (He et al. 2015)."""
        return self._generator.normal(0, (2 / inputs) ** 0.5, shape).astype(np.float32)

    def bias(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return self._generator.normal(0, 0.3, shape).astype(np.float32)

    def scale(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return self._generator.uniform(0.5, 1.5, shape).astype(np.float32)

    def mean(self, measured: NDArray[np.float32], variance: NDArray[np.float32]) -> NDArray[np.float32]:
        """A batch normalization's mean near that of its inputs, so that no activation runs away with depth."""
        shift = self._generator.normal(0, 0.3, measured.shape) * np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))
        return (measured + shift).astype(np.float32)

    def variance(self, measured: NDArray[np.float32]) -> NDArray[np.float32]:
        spread = self._generator.uniform(0.5, 2, measured.shape)
        return (np.maximum(measured, SMALLEST_VARIANCE) * spread).astype(np.float32)


def serve(answer: Callable[[dict[str, Any]], Answer]) -> None:
    """Answers requests until the input ends. Whatever else is printed goes to stderr."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception:  # the test shows it: this process has no other way to say what its library did
            reply = {"error": traceback.format_exc()}
        print(json.dumps(reply), file=replies, flush=True)
