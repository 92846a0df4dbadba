"""Arrays of numbers that the text of a network states."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

from mnetdsl.ir.core import ShapeError
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.types import MAX_ELEMENTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def number_array(arrays: list[Array], attributes: Mapping[str, AttributeValue]) -> Array:
    """The array that `ir.derivation.numbers_derivation` describes; `ShapeError` where its attributes are malformed."""
    import numpy as np

    shape, values = attributes.get("shape"), attributes.get("values")
    if arrays or not isinstance(shape, tuple) or not isinstance(values, tuple):
        raise ShapeError("numbers have a shape and values, and no sources")
    sizes = tuple(size for size in shape if type(size) is int and size >= 1)
    if sizes != shape or not sizes or prod(sizes) > MAX_ELEMENTS or len(values) not in (1, sizes[-1]):
        raise ShapeError(f"{len(values)} numbers do not fill {list(shape)}")
    return np.array(np.broadcast_to(np.array(values, np.float64), sizes))
