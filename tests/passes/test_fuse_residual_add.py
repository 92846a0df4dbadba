"""The sum that ends a residual branch, into the convolution before it."""

from __future__ import annotations

import pytest

from mnetdsl.ir.core import Module
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.passes.fuse_activation import FuseActivation
from mnetdsl.passes.fuse_residual_add import FuseResidualAdd
from tests.passes.helpers import LayerMaker, only, opcodes, passed

FUSE = FuseResidualAdd()


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("activation", ["none", "relu6"])
def test_into_the_convolution_on_either_side(left: bool, activation: str) -> None:
    maker = LayerMaker()
    image = maker.input(5, 5, 4)
    x = maker.conv("project", image, 4, kernel=3, padding=(1, 1, 1, 1), bias=True, activation=activation)
    total = maker.op("add", *((x, image) if left else (image, x)), name="sum")
    module, remarks = passed(maker.output(total), FUSE)
    assert opcodes(module) == ["conv2d"]
    conv = only(module, "conv2d")
    assert isinstance(conv, Conv2d)
    assert (conv.name, conv.residual) == ("project", module.graph.inputs[0].value)
    assert remarks == ["fuse-residual-add: fused `sum` into `project` (net.mnet:2)"]


def test_the_residual_may_be_computed_behind_the_convolution() -> None:
    maker = LayerMaker()
    image = maker.input(5, 5, 4)
    x = maker.conv("project", image, 4)
    late = maker.op("tanh", image)
    module, _ = passed(maker.output(maker.op("add", x, late)), FUSE)
    assert opcodes(module) == ["tanh", "conv2d"]


def test_of_two_convolutions_the_later_one_takes_the_sum() -> None:
    maker = LayerMaker()
    image = maker.input(5, 5, 4)
    first, second = maker.conv("first", image, 4), maker.conv("second", image, 4)
    module, remarks = passed(maker.output(maker.op("add", second, first, name="sum")), FUSE)
    assert opcodes(module) == ["conv2d", "conv2d"]
    assert remarks == ["fuse-residual-add: fused `sum` into `second` (net.mnet:3)"]


def test_a_chain_of_sums_takes_one_residual_per_convolution() -> None:
    maker = LayerMaker()
    image = maker.input(5, 5, 4)
    x = maker.op("add", maker.conv("a", image, 4), image, name="sum1")
    x = maker.op("add", maker.conv("b", x, 4), x, name="sum2")
    module, remarks = passed(maker.output(maker.op("add", x, image, name="sum3")), FUSE)
    assert opcodes(module) == ["conv2d", "conv2d", "add"]
    assert remarks[2].startswith("fuse-residual-add: not fused `sum3`: `b` has a residual already; an input is no")


def kept(case: str) -> tuple[Module, str]:
    """A sum that must stay, and why."""
    maker = LayerMaker()
    image = maker.input(4, 4, 3)
    x = maker.conv("conv", image, 3)
    if case == "activation":
        return maker.output(maker.op("add", x, image, activation="relu")), "it applies relu to the sum"
    if case == "broadcast":
        gate = maker.op("avg_pool", image, kernel=(4, 4))
        return maker.output(maker.op("add", x, gate)), "it broadcasts 4x4x3 f32 and 1x1x3 f32"
    if case == "twice":
        return maker.output(maker.op("add", x, x)), "the result of `conv` must stay: 2 uses"
    if case == "output":
        maker.output(x, "other")
        return maker.output(maker.op("add", x, image)), "the result of `conv` must stay: it is an output"
    depthwise = maker.depthwise("dw", image, padding=(1, 1, 1, 1))
    return maker.output(maker.op("add", depthwise, image)), "`depthwise_conv2d` is no convolution; an input is no"


@pytest.mark.parametrize("case", ["activation", "broadcast", "twice", "output", "depthwise"])
def test_what_keeps_a_sum_has_a_remark(case: str) -> None:
    original, why = kept(case)
    module, remarks = passed(original, FUSE)
    assert "add" in opcodes(module)
    assert remarks[0].startswith(f"fuse-residual-add: not fused a `add`: {why}")


def test_activations_fuse_first_and_the_residual_is_added_behind_them() -> None:
    maker = LayerMaker()
    image = maker.input(4, 4, 3)
    x = maker.op("relu", maker.conv("conv", image, 3))
    module, _ = passed(maker.output(maker.op("add", x, image)), FuseActivation(), FUSE)
    assert opcodes(module) == ["conv2d"]
    assert only(module, "conv2d").attributes["activation"] == "relu"
