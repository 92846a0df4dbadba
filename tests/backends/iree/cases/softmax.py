from __future__ import annotations

from tests.backends.iree.cases.maker import Case

CASES: dict[str, Case] = {
    "of classes": lambda m: m.op("softmax", {"input": m.fresh(10)}),
    "of large logits": lambda m: m.op(
        "softmax", {"input": m.op("mul", {"left": m.fresh(7), "right": m.weights(1, 7)}, activation="relu")}
    ),
    "of every pixel": lambda m: m.op("softmax", {"input": m.fresh(3, 4, 5)}),
    "of one class": lambda m: m.op("softmax", {"input": m.fresh(1)}),
}
