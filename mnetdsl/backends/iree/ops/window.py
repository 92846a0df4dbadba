"""Attributes that linalg's windowed operations share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from iree.compiler import ir as mlir


def window_attributes(strides: Sequence[int], dilations: Sequence[int]) -> dict[str, Any]:
    """`strides` and `dilations` as linalg's named operations take them: two 64-bit integers each."""
    return {
        "strides": mlir.DenseElementsAttr.get(np.array(strides, np.int64)),
        "dilations": mlir.DenseElementsAttr.get(np.array(dilations, np.int64)),
    }
