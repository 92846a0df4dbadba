from __future__ import annotations

import numpy as np

from mnetdsl.ir.core import Value
from tests.backends.iree.cases.maker import Case, CaseMaker


def norm(*shape: int) -> Case:
    def build(m: CaseMaker) -> Value:
        channels = shape[-1]
        variance = m.random.uniform(0.1, 3.0, channels).astype(np.float32)
        operands = {
            "input": m.fresh(*shape),
            "scale": m.weights(channels),
            "offset": m.weights(channels),
            "mean": m.weights(channels),
            "variance": m.constant(f"w{len(m.module.resources)}", variance),
        }
        return m.op("batch_norm", operands, epsilon=0.01)

    return build


CASES: dict[str, Case] = {"of a map": norm(5, 3, 6), "of a vector": norm(9)}
