"""Whether a difference is small enough, and how the verdict is put."""

from __future__ import annotations

from math import inf

from mnetdsl.ir.core import Op, Port
from mnetdsl.validate.compare import Difference
from mnetdsl.validate.report import Comparison


def judge(place: Op | Port, difference: Difference, tolerance: float, steps: int = 0) -> Comparison:
    """The verdict on an output or a layer.

    tolerance: of real numbers, as a fraction of the largest magnitude. steps: of integers, how far they may be apart.
    """
    type = place.result.type if isinstance(place, Op) else place.value.type
    integers = not type.element.is_float
    small = difference.absolute <= steps if integers else difference.relative <= tolerance
    return Comparison(
        name=place.name,
        operation=place.opcode if isinstance(place, Op) else "output",
        location=place.location,
        shape=type.shape,
        peak=difference.peak,
        absolute=inf if difference.problem else difference.absolute,
        relative=difference.relative,
        problem=difference.problem,
        agrees=small and difference.problem is None,
        integers=integers,
        accepted=steps if integers else tolerance,
    )
