from __future__ import annotations

import numpy as np
import pytest

from tests.interpreter.evaluation import evaluate, floats


def expected(x: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """Element by element, each step rounded to float32."""
    result = np.empty(x.shape, np.float32)
    for index in np.ndindex(x.shape):
        channel = index[-1]
        offset = np.float32(mean[channel % len(mean)])
        result[index] = (np.float32(x[index]) - offset) / np.float32(std[channel % len(std)])
    return result


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((127.5,), (127.5,)),
        ((0.0,), (255.0,)),
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ((128.0,), (58.395, 57.12, -57.375)),
    ],
)
def test_every_byte_is_rounded_step_by_step(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    image = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(2, 8, 16, 3)
    result = evaluate("normalize", {"input": image}, mean=mean, std=std)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, expected(image, mean, std))


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_other_element_types(dtype: str) -> None:
    x = (floats(1, 3, 3, 2) * 30).astype(dtype)
    result = evaluate("normalize", {"input": x}, mean=(3.3, 0.1), std=(0.7,))
    np.testing.assert_array_equal(result, expected(x, (3.3, 0.1), (0.7,)))
