from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.ir.core import ShapeError
from tests.interpreter.evaluation import EPSILON, evaluate, floats


@pytest.mark.parametrize("shape", [(1, 10), (3, 1000), (2, 3, 4, 21)])
def test_each_row_gets_mean_0_and_variance_1_then_scale_and_offset(shape: tuple[int, ...]) -> None:
    x = floats(*shape) * np.float32(4) + np.float32(100)
    scale, offset = floats(shape[-1], seed=1), floats(shape[-1], seed=2)
    result = evaluate("layer_norm", {"input": x, "scale": scale, "offset": offset}, epsilon=1e-5)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(-1, keepdims=True)) / np.sqrt(exact.var(-1, keepdims=True) + 1e-5)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, exact * scale + offset, rtol=0, atol=16 * EPSILON)


def test_a_constant_row_gives_the_offset() -> None:
    x = np.full((1, 3, 4), 7e5, np.float32)
    offset = floats(4, seed=1)
    result = evaluate("layer_norm", {"input": x, "scale": floats(4), "offset": offset})
    np.testing.assert_array_equal(result, np.broadcast_to(offset, x.shape))


def test_scale_has_one_number_a_channel() -> None:
    with pytest.raises(ShapeError, match="`layer_norm` needs a scale of 4"):
        evaluate("layer_norm", {"input": floats(1, 3, 4), "scale": floats(3), "offset": floats(4)})
