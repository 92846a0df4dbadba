"""One form for what can be written in several ways, and hands off what only looks alike."""

from __future__ import annotations

import math

import pytest

from mnetdsl.ir.core import Module
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.passes.canonicalize import Canonicalize
from tests.passes.helpers import LayerMaker, only, opcodes, passed

CANONICALIZE = Canonicalize()


def clamps(*bounds: tuple[float, float] | str) -> list[str]:
    """Opcodes behind the pass for clamps and named functions in a row; the last one is an output."""
    maker = LayerMaker()
    x = maker.op("tanh", maker.input(3, 3, 2))
    for item in bounds:
        x = maker.op(item, x) if isinstance(item, str) else maker.op("clamp", x, low=item[0], high=item[1])
    return opcodes(passed(maker.output(x), CANONICALIZE)[0])[1:]


def test_clamps_with_a_name_get_it() -> None:
    assert clamps((0.0, 6.0)) == ["relu6"]
    assert clamps((0.0, math.inf)) == ["relu"]
    assert clamps((-1.0, 1.0)) == ["clamp"]
    assert clamps((-math.inf, math.inf)) == []


def test_clamps_in_a_row_are_one() -> None:
    assert clamps("relu", "relu6") == ["relu6"]
    assert clamps("relu6", "relu") == ["relu6"]
    assert clamps("relu", "relu", "relu") == ["relu"]
    assert clamps((-1.0, 6.0), (0.0, 9.0)) == ["relu6"]
    assert clamps((-3.0, -2.0), (0.0, 1.0)) == ["clamp"]
    assert clamps("relu", "sigmoid", "relu") == ["relu", "sigmoid", "relu"]


def test_a_clamp_of_what_an_epilogue_has_clamped_goes() -> None:
    maker = LayerMaker()
    x = maker.conv("conv", maker.input(3, 3, 2), 2, activation="relu6")
    module, remarks = passed(maker.output(maker.op("relu", x, name="act")), CANONICALIZE)
    assert opcodes(module) == ["conv2d"]
    assert remarks == ["canonicalize: removed `act`: the value obeys its bounds already (net.mnet:2)"]


def test_a_clamp_behind_a_wider_epilogue_or_a_residual_stays() -> None:
    from mnetdsl.ir.ops.conv2d import Conv2d

    maker = LayerMaker()
    image = maker.input(3, 3, 2)
    maker.output(maker.op("relu6", maker.conv("conv", image, 2, activation="relu")), "wider")
    operands = {"input": image, "filter": maker.random_constant("w", 1, 1, 2, 2), "residual": image}
    summed = maker.builder.add(Conv2d, maker.place("sum"), operands, activation="relu").result
    module, _ = passed(maker.output(maker.op("relu", summed)), CANONICALIZE)
    assert opcodes(module) == ["conv2d", "relu6", "conv2d", "relu"]


def test_reshapes_in_a_row_are_one_and_those_to_the_same_shape_none() -> None:
    maker = LayerMaker()
    x = maker.op("relu", maker.input(2, 3, 4))
    x = maker.op("reshape", maker.op("reshape", x, shape=(6, 4)), shape=(24,))
    module, _ = passed(maker.output(maker.op("reshape", x, shape=(24,))), CANONICALIZE)
    assert opcodes(module) == ["relu", "reshape"]
    assert only(module, "reshape").attributes["shape"] == (24,)


def test_there_and_back_is_nothing() -> None:
    maker = LayerMaker()
    x = maker.op("relu", maker.input(2, 3, 4))
    module, _ = passed(
        maker.output(maker.op("reshape", maker.op("reshape", x, shape=(24,)), shape=(2, 3, 4))), CANONICALIZE
    )
    assert opcodes(module) == ["relu"]


@pytest.mark.parametrize(("value", "left"), [(0.0, ["pad"]), (1.0, ["pad", "pad"])])
def test_pads_of_one_value_add_up(value: float, left: list[str]) -> None:
    maker = LayerMaker()
    x = maker.op("pad", maker.input(3, 3, 2), padding=(1, 0, 2, 0))
    module, _ = passed(maker.output(maker.op("pad", x, padding=(0, 1, 1, 1), value=value)), CANONICALIZE)
    assert opcodes(module) == left
    if left == ["pad"]:
        assert only(module, "pad").attributes["padding"] == (1, 1, 3, 1)


def test_a_pad_that_others_read_is_not_joined() -> None:
    maker = LayerMaker()
    x = maker.op("pad", maker.input(3, 3, 2), padding=(1, 0, 2, 0))
    maker.output(x, "other")
    module, _ = passed(maker.output(maker.op("pad", x, padding=(1, 1, 1, 1))), CANONICALIZE)
    assert opcodes(module) == ["pad", "pad"]


def test_identities_go() -> None:
    maker = LayerMaker()
    x = maker.op("normalize", maker.input(3, 3, 2), mean=(0.0, 0.0), std=(1.0,))
    x = maker.op("pad", x, padding=(0, 0, 0, 0), value=3.0)
    x = maker.op("concat", group=[x], axis=3)
    x = maker.op("avg_pool", maker.op("max_pool", x, kernel=(1, 1)), kernel=(1, 1))
    module, _ = passed(maker.output(maker.op("tanh", x)), CANONICALIZE)
    assert opcodes(module) == ["tanh"]


def test_what_only_looks_like_an_identity_stays() -> None:
    maker = LayerMaker()
    image = maker.builder.input("bytes", TensorType((1, 3, 3, 2), ElementType.U8)).value
    x = maker.op("normalize", image, mean=(0.0,), std=(1.0,))
    x = maker.op("max_pool", x, kernel=(1, 1), strides=(2, 2))
    x = maker.op("normalize", x, mean=(0.0,), std=(1.0, 2.0))
    module, _ = passed(maker.output(x), CANONICALIZE)
    assert opcodes(module) == ["normalize", "max_pool", "normalize"]


def test_an_identity_between_input_and_output_stays() -> None:
    maker = LayerMaker()
    module, _ = passed(maker.output(maker.op("pad", maker.input(3, 3, 2), padding=(0, 0, 0, 0))), CANONICALIZE)
    assert opcodes(module) == ["pad"]


def nested_concats(shared: bool) -> Module:
    maker = LayerMaker()
    a, b = maker.op("relu", maker.input(2, 2, 1)), maker.op("tanh", maker.input(2, 2, 2, name="b"))
    inner = maker.op("concat", group=[a, b], axis=3)
    if shared:
        maker.output(inner, "inner")
    return maker.output(maker.op("concat", group=[a, inner, b], axis=3))


def test_nested_concats_are_one_unless_the_inner_one_is_stored_anyway() -> None:
    assert opcodes(passed(nested_concats(False), CANONICALIZE)[0]) == ["relu", "tanh", "concat"]
    assert opcodes(passed(nested_concats(True), CANONICALIZE)[0]) == ["relu", "tanh", "concat", "concat"]


def test_concats_along_different_axes_stay() -> None:
    maker = LayerMaker()
    image = maker.input(2, 2, 2)
    inner = maker.op("concat", group=[image, image], axis=1)
    module, _ = passed(maker.output(maker.op("concat", group=[inner, inner], axis=2)), CANONICALIZE)
    assert opcodes(module) == ["concat", "concat"]


@pytest.mark.parametrize("opcode", ["add", "mul"])
def test_constants_stand_right(opcode: str) -> None:
    maker = LayerMaker()
    image = maker.input(2, 2, 3)
    constant = maker.random_constant("c", 1, 1, 1, 3)
    module, _ = passed(maker.output(maker.op(opcode, constant, image, activation="relu")), CANONICALIZE)
    assert only(module, opcode).operands[0] is module.graph.inputs[0].value


def test_the_mean_of_one_pixel_is_a_reshape() -> None:
    maker = LayerMaker()
    x = maker.op("relu", maker.input(1, 1, 5))
    module, _ = passed(maker.output(maker.op("global_avg_pool", x, name="pool")), CANONICALIZE)
    assert opcodes(module) == ["relu", "reshape"]
    assert only(module, "reshape").name == "pool"


def test_running_it_again_changes_nothing() -> None:
    module, _ = passed(nested_concats(True), CANONICALIZE)
    assert passed(module, CANONICALIZE)[1] == []
