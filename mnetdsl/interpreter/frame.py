"""What the evaluation of an operation may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mnetdsl.ir.core import Value

Array = NDArray[Any]


@dataclass(frozen=True)
class Frame:
    """Arrays of the values in scope, and the arrays that constants name.

    `frame[op.input]` is the array of an operand. Evaluations never write into it: an observer may keep it.
    """

    values: Mapping[Value, Array]
    resources: Mapping[str, Array]

    def __getitem__(self, value: Value) -> Array:
        return self.values[value]

    def optional(self, value: Value | None) -> Array | None:
        """The array of an optional operand, None where it is absent."""
        return None if value is None else self.values[value]
