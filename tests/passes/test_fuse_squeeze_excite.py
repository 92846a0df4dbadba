"""Gates by channel in as few operations as they need."""

from __future__ import annotations

import pytest

from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.passes.context import Context
from mnetdsl.passes.fuse_squeeze_excite import FuseSqueezeExcite
from mnetdsl.passes.pipelines import FLOAT
from tests.passes.helpers import LayerMaker, only, opcodes, passed

FUSE = FuseSqueezeExcite()


def gates(maker: LayerMaker, x: Value, *, pool: bool, dense: bool) -> Value:
    """Squeeze and excite in the forms that papers, TensorFlow and PyTorch have for it."""
    height, width, channels = x.type.shape[1:]
    if pool:
        s = maker.op("avg_pool", x, name="mean", kernel=(height, width))
        s = maker.op("reshape", s, shape=(channels,)) if dense else s
    else:
        s = maker.op("global_avg_pool", x, name="mean")
        s = s if dense else maker.op("reshape", s, shape=(1, 1, channels))
    if dense:
        s = maker.dense("expand", maker.op("relu", maker.dense("reduce", s, 4, bias=True)), channels, bias=True)
        s = maker.op("reshape", s, shape=(1, 1, channels), name="view")
    else:
        s = maker.conv("expand", maker.op("relu", maker.conv("reduce", s, 4, bias=True)), channels, bias=True)
    return maker.op("mul", x, maker.op("hard_sigmoid", s, name="gate"), name="gated")


@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("dense", [True, False])
def test_every_form_is_a_mean_two_layers_and_a_product(pool: bool, dense: bool) -> None:
    maker = LayerMaker()
    module, _ = passed(maker.output(gates(maker, maker.input(5, 4, 6), pool=pool, dense=dense)), *FLOAT)
    computed = [name for name in opcodes(module) if name != "reshape"]
    layer = "dense" if dense else "conv2d"
    assert computed == ["global_avg_pool", layer, layer, "mul"]
    expand = next(op for op in module.graph.operations if op.name == "expand")
    assert expand.attributes["activation"] == "hard_sigmoid"
    again, remarks = passed(module, *FLOAT)
    assert opcodes(again) == opcodes(module)
    assert not [remark for remark in remarks if remark.startswith("fuse-squeeze-excite")]


def test_a_pool_of_the_whole_map_keeps_its_name_and_the_map_its_shape() -> None:
    maker = LayerMaker()
    pooled = maker.op("avg_pool", maker.input(3, 7, 2), name="pool", kernel=(3, 7))
    module, remarks = passed(maker.output(pooled), FUSE)
    assert opcodes(module) == ["global_avg_pool", "reshape"]
    mean, view = module.graph.operations
    assert (mean.name, view.name, view.type.shape) == ("pool", "pool.view", (1, 1, 1, 2))
    assert remarks == ["fuse-squeeze-excite: wrote `pool` as the mean of its map (net.mnet:1)"]


def kept(case: str) -> Module:
    maker = LayerMaker()
    x = maker.input(4, 4, 3)
    if case == "part":
        return maker.output(maker.op("avg_pool", x, kernel=(4, 3)))
    if case == "padded":
        return maker.output(maker.op("avg_pool", x, kernel=(4, 4), padding=(1, 0, 0, 0)))
    view = maker.op("reshape", maker.conv("conv", x, 2), shape=(32,))
    if case == "read twice":
        maker.output(view, "view")
    return maker.output(maker.op("softmax" if case == "not by element" else "sigmoid", view))


@pytest.mark.parametrize("case", ["part", "padded", "read twice", "not by element"])
def test_what_is_something_else_stays(case: str) -> None:
    module = kept(case)
    assert opcodes(passed(module, FUSE)[0]) == opcodes(module)


def test_quantized_windows_stay_since_they_round_otherwise() -> None:
    maker = LayerMaker()
    module = maker.output(maker.op("avg_pool", maker.input(4, 4, 3), kernel=(4, 4)))
    op = only(module, "avg_pool")
    stored = Storage(ElementType.I8, Quantization.per_tensor(0.1, 0))
    for value in (*op.operands, op.result):
        value.type = value.type.stored_as(stored)
    FUSE.run(module, Context())
    assert opcodes(module) == ["avg_pool"]
