from __future__ import annotations

from tests.backends.iree.cases.maker import Case

CASES: dict[str, Case] = {
    "as an output": lambda m: m.weights(1, 5),
}
