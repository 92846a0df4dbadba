"""Equal computations are made once."""

from __future__ import annotations

from mnetdsl.passes.common_subexpressions import CommonSubexpressions
from tests.passes.helpers import LayerMaker, opcodes, passed

CSE = CommonSubexpressions()


def test_equal_operations_and_those_that_read_them() -> None:
    maker = LayerMaker()
    image = maker.input(3, 3, 2)
    a, b = (maker.op("relu", maker.op("tanh", image, name=f"tanh{i}"), name=f"relu{i}") for i in range(2))
    module, remarks = passed(maker.output(maker.op("add", a, b)), CSE)
    assert opcodes(module) == ["tanh", "relu", "add"]
    assert remarks == [
        "common-subexpressions: replaced `tanh1` by `tanh0` (net.mnet:3)",
        "common-subexpressions: replaced `relu1` by `relu0` (net.mnet:4)",
    ]


def test_sums_and_products_in_either_order() -> None:
    maker = LayerMaker()
    x, y = maker.input(2), maker.input(2, name="other")
    for opcode in ("add", "mul"):
        maker.output(maker.op(opcode, x, y), f"{opcode}1")
        maker.output(maker.op(opcode, y, x), f"{opcode}2")
    module, _ = passed(maker.module, CSE)
    assert opcodes(module) == ["add", "mul"]
    values = [port.value for port in module.graph.outputs]
    assert values[0] is values[1]


def test_order_counts_where_it_matters() -> None:
    maker = LayerMaker()
    x, y = maker.input(2, 2, 1), maker.input(2, 2, 1, name="other")
    maker.output(maker.op("concat", group=[x, y], axis=3), "xy")
    maker.output(maker.op("concat", group=[y, x], axis=3), "yx")
    assert opcodes(passed(maker.module, CSE)[0]) == ["concat", "concat"]


def test_attributes_count_down_to_the_bits() -> None:
    maker = LayerMaker()
    x = maker.input(2, 2, 1)
    for number, value in enumerate((0.0, -0.0, 1.0, 1.0)):
        maker.output(maker.op("pad", x, padding=(1, 1, 1, 1), value=value), f"result{number}")
    assert opcodes(passed(maker.module, CSE)[0]) == ["pad", "pad", "pad"]


def test_layers_that_share_their_weights_and_input() -> None:
    maker = LayerMaker()
    x = maker.input(2, 2, 3)
    shared = maker.random_constant("w", 1, 1, 3, 4)
    again = maker.builder.constant("w", (1, 1, 3, 4))
    a, b = maker.conv("a", x, 4, weight=shared), maker.conv("b", x, 4, weight=again)
    c = maker.conv("c", x, 4)
    module, _ = passed(maker.output(maker.op("concat", group=[a, b, c], axis=3)), CSE)
    assert opcodes(module) == ["conv2d", "conv2d", "concat"]
