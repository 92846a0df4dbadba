"""Unary functions into the operation before, where that changes nothing else."""

from __future__ import annotations

import pytest

from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.passes.fuse_activation import FuseActivation
from tests.passes.helpers import LayerMaker, opcodes, passed

FUSE = FuseActivation()


def producer(maker: LayerMaker, kind: str) -> Value:
    if kind == "dense":
        return maker.dense("layer", maker.input(5), 4, bias=True)
    image = maker.input(4, 4, 3)
    if kind == "conv2d":
        return maker.conv("layer", image, 4)
    if kind == "depthwise_conv2d":
        return maker.depthwise("layer", image)
    return maker.op(kind, image, image, name="layer")


@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d", "dense", "add", "mul"])
@pytest.mark.parametrize("function", UNARY_FUNCTIONS)
def test_every_unary_function_into_every_operation_with_an_epilogue(kind: str, function: str) -> None:
    maker = LayerMaker()
    module, remarks = passed(maker.output(maker.op(function, producer(maker, kind), name="act")), FUSE)
    assert opcodes(module) == [kind]
    fused = module.graph.operations[-1]
    assert (fused.name, fused.attributes["activation"]) == ("layer", function)
    assert remarks == [f"fuse-activation: fused {function} into `layer` (net.mnet:2)"]


def test_one_of_two_in_a_row() -> None:
    maker = LayerMaker()
    x = maker.op("tanh", producer(maker, "conv2d"), name="first")
    module, remarks = passed(maker.output(maker.op("relu", x, name="second")), FUSE)
    assert opcodes(module) == ["conv2d", "relu"]
    assert remarks[1] == "fuse-activation: not fused `second`: `layer` applies tanh already (net.mnet:3)"


@pytest.mark.parametrize("output", [True, False])
def test_not_where_others_read_the_result(output: bool) -> None:
    maker = LayerMaker()
    x = producer(maker, "conv2d")
    maker.output(x if output else maker.op("tanh", x, name="other"), "other")
    module, remarks = passed(maker.output(maker.op("relu", x, name="act")), FUSE)
    assert "relu" in opcodes(module)
    why = "it is an output" if output else "2 uses"
    assert f"not fused `act`: the result of `layer` must stay: {why}" in remarks[-1]


def test_not_behind_a_residual_which_is_added_last() -> None:
    maker = LayerMaker()
    image = maker.input(4, 4, 3)
    operands = {"input": image, "filter": maker.random_constant("w", 1, 1, 3, 3), "residual": image}
    x = maker.builder.add(Conv2d, maker.place("layer"), operands).result
    module, remarks = passed(maker.output(maker.op("relu", x, name="act")), FUSE)
    assert opcodes(module) == ["conv2d", "relu"]
    assert remarks == ["fuse-activation: not fused `act`: `layer` adds a residual last (net.mnet:2)"]


def test_not_behind_an_input_a_pool_or_a_clamp() -> None:
    maker = LayerMaker()
    image = maker.input(4, 4, 3)
    for number, x in enumerate([image, maker.op("max_pool", image, kernel=(2, 2)), maker.conv("c", image, 3)]):
        last = maker.op("clamp", x, low=0.0, high=3.0) if number == 2 else maker.op("relu", x)
        maker.output(last, f"result{number}")
    module, remarks = passed(maker.module, FUSE)
    assert opcodes(module) == ["max_pool", "conv2d", "relu", "relu", "clamp"]
    assert [remark.split(": ")[2].split(" (")[0] for remark in remarks] == [
        "it reads an input",
        "`max_pool` has no epilogue",
    ]
