"""A pad of zeros into a convolution, and nowhere else."""

from __future__ import annotations

import pytest

from mnetdsl.passes.fold_pad import FoldPad
from tests.passes.helpers import LayerMaker, only, opcodes, passed

FOLD = FoldPad()
ONE = (1, 1, 1, 1)


def test_into_a_convolution_whose_padding_adds_up() -> None:
    maker = LayerMaker()
    x = maker.op("pad", maker.input(5, 6, 3), padding=(0, 1, 2, 1), name="pad")
    module, remarks = passed(
        maker.output(maker.conv("conv", x, 4, kernel=5, padding=(1, 0, 0, 1), strides=(2, 3), dilations=(1, 2))), FOLD
    )
    assert opcodes(module) == ["conv2d"]
    assert only(module, "conv2d").attributes["padding"] == (1, 1, 2, 2)
    assert remarks == ["fold-pad: folded `pad` into `conv` (net.mnet:1)"]


def test_into_a_depthwise_convolution() -> None:
    maker = LayerMaker()
    x = maker.op("pad", maker.input(5, 5, 3), padding=(0, 1, 0, 1))
    module, _ = passed(maker.output(maker.depthwise("dw", x, strides=(2, 2))), FOLD)
    assert opcodes(module) == ["depthwise_conv2d"]


@pytest.mark.parametrize(
    ("pool", "why"),
    [
        ("avg_pool", "`avg_pool` does not count its own padding, but counts the zeros of a pad"),
        ("max_pool", "`max_pool` never returns its own padding, but may return the zeros of a pad"),
    ],
)
def test_not_into_a_pool(pool: str, why: str) -> None:
    maker = LayerMaker()
    x = maker.op("pad", maker.input(5, 5, 3), padding=ONE)
    module, remarks = passed(maker.output(maker.op(pool, x, kernel=(3, 3))), FOLD)
    assert opcodes(module) == ["pad", pool]
    assert remarks == [f"fold-pad: not folded a `pad` into a `{pool}`: {why} (net.mnet:1)"]


def test_not_where_the_border_is_not_zero() -> None:
    maker = LayerMaker()
    x = maker.op("pad", maker.input(5, 5, 3), padding=ONE, value=-1.0)
    module, remarks = passed(maker.output(maker.conv("conv", x, 4, kernel=3)), FOLD)
    assert opcodes(module) == ["pad", "conv2d"]
    assert remarks == [
        "fold-pad: not folded a `pad` into `conv`: the border is -1.0, a convolution's is 0 (net.mnet:1)"
    ]


def test_not_where_a_window_would_see_only_padding() -> None:
    maker = LayerMaker()
    x = maker.op("pad", maker.input(5, 5, 3), padding=ONE)
    module, remarks = passed(maker.output(maker.conv("conv", x, 4)), FOLD)
    assert opcodes(module) == ["pad", "conv2d"]
    assert "a window of 1x1 would lie wholly in the padding" in remarks[0]


def test_a_pad_that_others_read_stays_for_them() -> None:
    maker = LayerMaker()
    x = maker.op("pad", maker.input(5, 5, 3), padding=ONE)
    maker.output(x, "padded")
    maker.output(maker.op("add", x, x), "sum")
    maker.output(maker.conv("conv", x, 4, kernel=3), "conv")
    module, remarks = passed(maker.module, FOLD)
    assert opcodes(module) == ["pad", "add", "conv2d"]
    assert only(module, "conv2d").operands[0] is module.graph.inputs[0].value
    assert remarks[0] == "fold-pad: not folded a `pad` into a `add`: `add` has no padding (net.mnet:1)"


def test_not_where_the_pad_is_also_the_residual() -> None:
    from mnetdsl.ir.ops.conv2d import Conv2d

    maker = LayerMaker()
    x = maker.op("pad", maker.input(5, 5, 3), padding=ONE)
    operands = {"input": x, "filter": maker.random_constant("w", 3, 3, 3, 3), "residual": x}
    conv = maker.builder.add(Conv2d, maker.place("conv"), operands, padding=ONE)
    module, remarks = passed(maker.output(conv.result), FOLD)
    assert opcodes(module) == ["pad", "conv2d"]
    assert "it is not its input alone" in remarks[0]
