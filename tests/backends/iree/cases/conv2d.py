from __future__ import annotations

from mnetdsl.ir.core import Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from tests.backends.iree.cases.maker import Case, CaseMaker


def conv(
    size: tuple[int, int, int], kernel: tuple[int, int], outputs: int, bias: bool = True, **attributes: AttributeValue
) -> Case:
    def build(m: CaseMaker) -> Value:
        operands = {"input": m.fresh(*size), "filter": m.weights(*kernel, size[2], outputs)}
        if bias:
            operands["bias"] = m.weights(outputs)
        return m.op("conv2d", operands, **attributes)

    return build


def residual(kernel: int) -> Case:
    def build(m: CaseMaker) -> Value:
        pad = kernel // 2
        operands = {
            "input": m.fresh(5, 6, 4),
            "filter": m.weights(kernel, kernel, 4, 8),
            "bias": m.weights(8),
            "residual": m.fresh(5, 6, 8),
        }
        return m.op("conv2d", operands, padding=(pad, pad, pad, pad), activation="relu")

    return build


def shared_filter(m: CaseMaker) -> Value:
    """Two layers on one array."""
    filter = m.weights(1, 1, 4, 4)
    first = m.op("conv2d", {"input": m.fresh(3, 3, 4), "filter": filter})
    return m.op("conv2d", {"input": first, "filter": filter})


CASES: dict[str, Case] = {
    "3x3 stem on odd sizes": conv((9, 7, 3), (3, 3), 8, strides=(2, 2), padding=(0, 1, 0, 1), activation="relu6"),
    "without bias": conv((5, 5, 2), (3, 3), 4, bias=False),
    "asymmetric padding and strides": conv((8, 9, 3), (3, 5), 4, strides=(2, 1), padding=(2, 0, 1, 3)),
    "dilated": conv((11, 10, 2), (3, 3), 3, dilations=(2, 3), padding=(2, 2, 3, 3)),
    "even kernel": conv((6, 6, 2), (2, 4), 3),
    "whole map as window": conv((4, 3, 5), (4, 3), 7),
    "one pixel": conv((1, 1, 16), (1, 1), 24, activation="hard_swish"),
    "one window, pixels behind it": conv((4, 6, 3), (3, 3), 4, strides=(2, 4)),
    "one row of windows, margin behind it": conv((2, 4, 3), (3, 3), 4, strides=(2, 1), padding=(1, 1, 1, 1)),
    "pointwise with one window": conv((2, 3, 4), (1, 1), 5, strides=(2, 3)),
    "pointwise": conv((5, 7, 6), (1, 1), 10, activation="relu6"),
    "pointwise without bias": conv((5, 7, 6), (1, 1), 10, bias=False),
    "pointwise with stride": conv((5, 7, 6), (1, 1), 10, strides=(2, 2)),
    "pointwise with padding": conv((4, 4, 3), (1, 1), 5, padding=(1, 0, 0, 2)),
    "pointwise to one channel": conv((4, 4, 3), (1, 1), 1),
    "residual": residual(3),
    "pointwise residual": residual(1),
    "one filter for two layers": shared_filter,
    **{f"activation {name}": conv((3, 3, 2), (1, 1), 4, activation=name) for name in UNARY_FUNCTIONS},
}
