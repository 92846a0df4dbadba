from __future__ import annotations

from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from tests.backends.iree.cases.maker import Case


def unary(opcode: str) -> Case:
    return lambda m: m.op(opcode, {"input": m.fresh(6, 7, 3)})


CASES: dict[str, Case] = {
    **{name: unary(name) for name in UNARY_FUNCTIONS},
    "clamp": lambda m: m.op("clamp", {"input": m.fresh(6, 7, 3)}, low=-1.25, high=2.5),
    "clamp of a vector": lambda m: m.op("clamp", {"input": m.fresh(9)}, low=0.0, high=0.0),
}
