from __future__ import annotations

from tests.backends.iree.cases.maker import Case

CASES: dict[str, Case] = {
    "with bias": lambda m: m.op("dense", {"input": m.fresh(33), "filter": m.weights(33, 10), "bias": m.weights(10)}),
    "without bias": lambda m: m.op("dense", {"input": m.fresh(7), "filter": m.weights(7, 1)}),
    "with activation": lambda m: m.op(
        "dense", {"input": m.fresh(8), "filter": m.weights(8, 16), "bias": m.weights(16)}, activation="relu"
    ),
}
