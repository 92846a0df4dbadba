"""What the operations with a filter check of their bias and of the numbers of a quantized filter.

A quantized filter has `filter_scale` [O] or [1], float32: real weight = (q - filter_zero_point) * the scale of its
output channel. `filter_zero_point` [1] has the filter's element and is absent where it is 0. The bias is then int32 at
input scale * filter scale.
"""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError


def check_weights(op: Op, outputs: int) -> None:
    """Raises `ShapeError` where bias or filter scales do not fit `outputs` channels."""
    sizes = {"bias": (outputs,), "filter_scale": (outputs, 1), "filter_zero_point": (1,)}
    for operand, allowed in sizes.items():
        for value in op.operand_group(operand):
            if value.type.shape not in [(size,) for size in allowed]:
                expected = " or ".join(str(size) for size in dict.fromkeys(allowed))
                what = operand.replace("_", " ")
                raise ShapeError(f"`{op.opcode}` needs a {what} of {expected}, got {value.type}", operand)
