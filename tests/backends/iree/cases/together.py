"""Layers as networks join them, where a compiler fuses what it must not."""

from __future__ import annotations

from mnetdsl.ir.core import Value
from mnetdsl.ir.types import ElementType
from tests.backends.iree.cases.maker import Case, CaseMaker


def inverted_residual(m: CaseMaker) -> Value:
    x = m.fresh(8, 8, 8)
    y = m.op("conv2d", {"input": x, "filter": m.weights(1, 1, 8, 48), "bias": m.weights(48)}, activation="relu6")
    y = m.op(
        "depthwise_conv2d",
        {"input": y, "filter": m.weights(3, 3, 48, 1), "bias": m.weights(48)},
        padding=(1, 1, 1, 1),
        activation="relu6",
    )
    return m.op("conv2d", {"input": y, "filter": m.weights(1, 1, 48, 8), "bias": m.weights(8), "residual": x})


def squeeze_and_excite(m: CaseMaker) -> Value:
    """As in MobileNetV3 (Howard et al. 2019, figure 4), with the projection behind it."""
    x = m.fresh(14, 14, 16)
    y = m.op("conv2d", {"input": x, "filter": m.weights(1, 1, 16, 72)}, activation="hard_swish")
    y = m.op(
        "depthwise_conv2d",
        {"input": y, "filter": m.weights(5, 5, 72, 1), "bias": m.weights(72)},
        padding=(2, 2, 2, 2),
        activation="hard_swish",
    )
    gate = m.op("global_avg_pool", {"input": y})
    gate = m.op("dense", {"input": gate, "filter": m.weights(72, 24), "bias": m.weights(24)}, activation="relu")
    gate = m.op("dense", {"input": gate, "filter": m.weights(24, 72), "bias": m.weights(72)})
    gate = m.op("hard_sigmoid", {"input": gate})
    y = m.op("mul", {"left": y, "right": m.op("reshape", {"input": gate}, shape=(1, 1, 72))})
    return m.op("conv2d", {"input": y, "filter": m.weights(1, 1, 72, 16), "residual": x})


def a_map_gated_by_its_own_mean(m: CaseMaker) -> Value:
    """No dense layer lies between the mean and the product, so that a compiler may make one loop of both."""
    x = m.op("relu", {"input": m.fresh(8, 8, 16)})
    gate = m.op("sigmoid", {"input": m.op("global_avg_pool", {"input": x})})
    return m.op("mul", {"left": x, "right": m.op("reshape", {"input": gate}, shape=(1, 1, 16))})


def an_image_and_its_mean(m: CaseMaker) -> Value:
    x = m.op("normalize", {"input": m.fresh(7, 5, 3, element=ElementType.I8)}, mean=(0.0,), std=(1.0,))
    mean = m.op("reshape", {"input": m.op("global_avg_pool", {"input": x})}, shape=(1, 1, 3))
    return m.op("concat", {"inputs": [m.op("mul", {"left": m.fresh(7, 5, 3), "right": mean}), x]}, axis=3)


def a_value_read_twice(m: CaseMaker) -> Value:
    x = m.op("relu", {"input": m.fresh(4, 4, 3)})
    return m.op("concat", {"inputs": [x, m.op("add", {"left": x, "right": x}), x]}, axis=3)


CASES: dict[str, Case] = {
    "inverted residual": inverted_residual,
    "squeeze and excite": squeeze_and_excite,
    "a map gated by its own mean": a_map_gated_by_its_own_mean,
    "an image and its mean": an_image_and_its_mean,
    "a value read twice": a_value_read_twice,
}
