from __future__ import annotations

from tests.backends.iree.cases.maker import Case

CASES: dict[str, Case] = {
    "of features": lambda m: m.op("argmax", {"input": m.fresh(70)}),
    "of every pixel": lambda m: m.op("argmax", {"input": m.fresh(3, 4, 21)}),
    "of equal numbers": lambda m: m.op("argmax", {"input": m.op("relu", {"input": m.fresh(6, 3)})}),
    "of one channel": lambda m: m.op("argmax", {"input": m.fresh(4, 1)}),
}
