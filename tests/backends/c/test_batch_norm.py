"""batch_norm that no convolution took up, as C."""

from __future__ import annotations

import numpy as np

from tests.backends.c.harness import Cases, check_cases


def test_batch_norm_without_a_convolution_agrees_with_the_interpreter() -> None:
    cases = Cases()
    for sizes in ((4, 5, 6), (7,)):
        channels = sizes[-1]
        variance = cases.maker.constant(f"v{channels}", np.linspace(0.1, 3.0, channels, dtype=np.float32))
        operands = {"input": cases.value(*sizes), "variance": variance}
        operands |= {name: cases.weight(channels) for name in ("scale", "offset", "mean")}
        cases.finish(cases.op("batch_norm", operands, epsilon=1e-3))
    check_cases(cases.module)
