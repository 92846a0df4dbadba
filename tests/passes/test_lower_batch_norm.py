"""Batch normalization that no layer absorbs becomes operations that every backend has."""

from __future__ import annotations

import pytest

from mnetdsl.ir.ops.batch_norm import BatchNorm
from mnetdsl.passes.lower_batch_norm import LowerBatchNorm
from tests.passes.helpers import LayerMaker, only, opcodes, passed

LOWER = LowerBatchNorm()


def test_on_a_map_it_is_a_depthwise_layer_under_its_name() -> None:
    maker = LayerMaker()
    image = maker.input(4, 5, 3)
    module, remarks = passed(maker.output(maker.norm("norm", maker.op("add", image, image))), LOWER)
    assert opcodes(module) == ["add", "depthwise_conv2d"]
    assert only(module, "depthwise_conv2d").name == "norm"
    assert remarks == ["lower-batch-norm: lowered `norm` to depthwise 1x1 (net.mnet:2)"]


@pytest.mark.parametrize("shape", [(6,), (5, 6), (2, 3, 4, 6)])
def test_elsewhere_it_is_a_product_and_a_sum(shape: tuple[int, ...]) -> None:
    maker = LayerMaker()
    module, _ = passed(maker.output(maker.norm("norm", maker.input(*shape))), LOWER)
    assert opcodes(module) == ["mul", "add"]
    assert [op.name for op in module.graph.operations if op.opcode in ("mul", "add")] == ["norm.scaled", "norm"]


def test_two_lowered_norms_have_arrays_of_their_own() -> None:
    maker = LayerMaker()
    image = maker.input(2, 2, 3)
    module, _ = passed(maker.output(maker.norm("second", maker.norm("first", image))), LOWER)
    assert opcodes(module) == ["depthwise_conv2d", "depthwise_conv2d"]
    assert len(module.derived) == 4


def test_computed_statistics_stay() -> None:
    maker = LayerMaker()
    x = maker.input(2, 2, 3)
    scale = maker.op("relu", maker.random_constant("scale", 3))
    statistics = {name: maker.random_constant(name, 3) for name in ("offset", "mean")}
    variance = maker.op("relu", maker.random_constant("variance", 3))
    operands = {"input": x, "scale": scale, "variance": variance, **statistics}
    norm = maker.builder.add(BatchNorm, maker.place("norm"), operands, epsilon=1.0)
    module, remarks = passed(maker.output(norm.result), LOWER)
    assert "batch_norm" in opcodes(module)
    assert remarks == ["lower-batch-norm: not lowered `norm`: its statistics are computed (net.mnet:3)"]
