from __future__ import annotations

from mnetdsl.ir.core import Value
from mnetdsl.ir.declare import AttributeValue
from tests.backends.iree.cases.maker import Case, CaseMaker


def depthwise(
    size: tuple[int, int, int],
    kernel: tuple[int, int],
    multiplier: int = 1,
    bias: bool = True,
    **attributes: AttributeValue,
) -> Case:
    def build(m: CaseMaker) -> Value:
        operands = {"input": m.fresh(*size), "filter": m.weights(*kernel, size[2], multiplier)}
        if bias:
            operands["bias"] = m.weights(size[2] * multiplier)
        return m.op("depthwise_conv2d", operands, **attributes)

    return build


CASES: dict[str, Case] = {
    "3x3": depthwise((7, 7, 8), (3, 3), padding=(1, 1, 1, 1), activation="relu6"),
    "stride 2 on odd sizes": depthwise((9, 7, 5), (3, 3), strides=(2, 2), padding=(1, 1, 1, 1)),
    "TensorFlow's SAME with stride 2": depthwise((8, 8, 4), (3, 3), strides=(2, 2), padding=(0, 1, 0, 1)),
    "5x5 without bias": depthwise((8, 6, 3), (5, 5), bias=False, padding=(2, 2, 2, 2)),
    "7x1": depthwise((9, 3, 4), (7, 1), padding=(3, 3, 0, 0)),
    "one column of windows, margin behind it": depthwise((4, 2, 3), (3, 3), strides=(1, 2), padding=(1, 1, 1, 1)),
    "one window, pixels behind it, multiplier 2": depthwise((6, 5, 3), (2, 3), 2, strides=(5, 3), dilations=(2, 1)),
    "dilated": depthwise((9, 9, 4), (3, 3), dilations=(2, 2), padding=(2, 2, 2, 2)),
    "multiplier 2": depthwise((6, 5, 3), (3, 3), 2, padding=(1, 1, 1, 1), activation="relu"),
    "multiplier 3, strides and dilation differ": depthwise(
        (11, 8, 2), (3, 2), 3, bias=False, strides=(1, 2), dilations=(3, 1), padding=(0, 2, 1, 0)
    ),
    "one pixel": depthwise((1, 1, 16), (3, 3), padding=(1, 1, 1, 1)),
    "1x1 kernel": depthwise((4, 4, 6), (1, 1)),
}
