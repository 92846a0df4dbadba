"""Arrays that follow from other arrays: how a pass rewrites weights that may not be loaded yet.

See docs/decisions/0005-derived-weights.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.types import Shape, TensorType

NUMBERS = "numbers"
"""The function of numbers that the text itself states, as in `x * 0.5`."""

SOURCE_ROLES: dict[str, tuple[str, ...]] = {
    "scale_outputs": ("filter", "scale", "variance"),
    "offset_outputs": ("scale", "variance", "mean", "offset", "bias"),
    "scale_inputs": ("filter", "scale", "variance"),
    "offset_inputs": ("filter", "scale", "variance", "mean", "offset", "bias"),
    "norm_scale": ("scale", "variance"),
    "norm_offset": ("scale", "variance", "mean", "offset"),
}
"""What the sources of each function of `passes.batch_norm_arithmetic` were operands of, in its order."""


@dataclass(frozen=True)
class Derivation:
    """A resource as a pure function of other resources; evaluated by `passes.derive` once those are loaded.

    `function` is a key of `passes.derive.FUNCTIONS`, or `mnet.<opcode>` for the result of an operation.
    `sources` names the arrays it reads and `types` says what they are, in the function's order; `segments` counts
    the values of each declared operand of an operation; `attributes` are sorted by name.
    """

    function: str
    sources: tuple[str, ...]
    types: tuple[TensorType, ...]
    segments: tuple[int, ...] = ()
    attributes: tuple[tuple[str, AttributeValue], ...] = ()

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.types):
            raise ValueError(f"{len(self.sources)} sources need as many types, got {len(self.types)}")


def numbers_derivation(shape: Shape, values: tuple[float, ...]) -> Derivation:
    """An array of `shape` that holds `values`: one for all elements, or one for each index of the last axis."""
    return Derivation(NUMBERS, (), (), attributes=(("shape", shape), ("values", values)))
