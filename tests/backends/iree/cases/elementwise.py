from __future__ import annotations

from mnetdsl.ir.core import Value
from mnetdsl.ir.declare import AttributeValue
from tests.backends.iree.cases.maker import Case, CaseMaker


def binary(opcode: str, left: tuple[int, ...], right: tuple[int, ...], **attributes: AttributeValue) -> Case:
    return lambda m: m.op(opcode, {"left": m.fresh(*left), "right": m.fresh(*right)}, **attributes)


def itself(m: CaseMaker) -> Value:
    value = m.fresh(3, 3, 2)
    return m.op("mul", {"left": value, "right": value})


CASES: dict[str, Case] = {
    "add": binary("add", (4, 5, 3), (4, 5, 3), activation="relu"),
    "add of vectors": binary("add", (7,), (7,)),
    "add with a constant": lambda m: m.op("add", {"left": m.fresh(3, 3, 4), "right": m.weights(1, 1, 1, 4)}),
    "sub": binary("sub", (4, 5, 3), (4, 5, 3), activation="relu"),
    "sub of a map from its channels": binary("sub", (1, 1, 3), (4, 5, 3)),
    "mul with channel gates": binary("mul", (4, 5, 3), (1, 1, 3)),
    "mul with a pixel mask": binary("mul", (4, 5, 3), (4, 5, 1)),
    "gates on the left": binary("mul", (1, 1, 3), (4, 5, 3), activation="hard_sigmoid"),
    "rows with columns": binary("add", (4, 1, 3), (1, 5, 1)),
    "one number for all": binary("mul", (1, 1, 1), (4, 5, 3)),
    "of a value with itself": itself,
}
