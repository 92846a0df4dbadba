"""The epilogue of a layer: bias, activation and residual in one pass over its result."""

from __future__ import annotations

from iree.compiler.dialects import arith

from mnetdsl.backends.iree.scalars import SCALARS
from mnetdsl.backends.iree.tensors import MlirValue, elementwise, per_channel, shape_of, whole


def activated(x: MlirValue, activation: str) -> MlirValue:
    """The scalar `x` under an activation attribute."""
    return x if activation == "none" else SCALARS[activation](x)


def epilogue(
    result: MlirValue, bias: MlirValue | None, activation: str, residual: MlirValue | None = None
) -> MlirValue:
    """activation(result + bias) + residual; result, residual [..., C], bias [C]."""
    if bias is None and activation == "none" and residual is None:
        return result
    shape = shape_of(result)
    inputs = [whole(result)]
    if bias is not None:
        inputs.append(per_channel(bias, len(shape)))
    if residual is not None:
        inputs.append(whole(residual))

    def body(x: MlirValue, *others: MlirValue) -> MlirValue:
        rest = list(others)
        if bias is not None:
            x = arith.addf(x, rest.pop(0))
        x = activated(x, activation)
        return x if residual is None else arith.addf(x, rest.pop(0))

    return elementwise(shape, inputs, body)
