from __future__ import annotations

from tests.backends.iree.cases.maker import Case

CASES: dict[str, Case] = {
    "of two maps": lambda m: m.op("matmul", {"left": m.fresh(5, 3), "right": m.fresh(3, 4)}),
    "transposed and scaled": lambda m: m.op(
        "matmul", {"left": m.fresh(12, 8), "right": m.fresh(6, 8)}, transpose="right", scale=0.125
    ),
    "of one element": lambda m: m.op("matmul", {"left": m.fresh(1, 1), "right": m.fresh(1, 1)}),
}
