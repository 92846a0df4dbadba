"""What linalg's windowed operations share: their attributes, and the map that their windows slide over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from iree.compiler import ir as mlir

from mnetdsl.backends.iree.tensors import MlirValue, cropped, padded, shape_of
from mnetdsl.ir.types import Shape


def window_attributes(strides: Sequence[int], dilations: Sequence[int]) -> dict[str, Any]:
    """`strides` and `dilations` as linalg's named operations take them: two 64-bit integers each."""
    return {
        "strides": mlir.DenseElementsAttr.get(np.array(strides, np.int64)),
        "dilations": mlir.DenseElementsAttr.get(np.array(dilations, np.int64)),
    }


def window_source(
    source: MlirValue,
    padding: Sequence[int],
    border: float,
    kernel: Sequence[int],
    dilations: Sequence[int],
    outputs: Shape,
) -> MlirValue:
    """`source` padded, without what lies behind the only window of an axis.

    outputs: [N, OH, OW, …]. A stride can leave such pixels unread; where an axis has one window, IREE 3.13 takes the
    map for as large as that window and refuses the rest.
    """
    sizes, margins = list(shape_of(source)[1:3]), list(padding)
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        wanted = reach - margins[2 * axis]  # pixels and margin behind the margin in front
        if outputs[1 + axis] == 1 and wanted >= 1:
            sizes[axis] = min(sizes[axis], wanted)
            margins[2 * axis + 1] = wanted - sizes[axis]
    return padded(cropped(source, (sizes[0], sizes[1])), margins, border)
