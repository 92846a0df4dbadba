from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from tests.interpreter.evaluation import evaluate, floats


def statistics(channels: int) -> dict[str, Any]:
    return {
        "scale": floats(channels, seed=1),
        "offset": floats(channels, seed=2),
        "mean": floats(channels, seed=3),
        "variance": np.abs(floats(channels, seed=4)),
    }


def check(x: Any, given: dict[str, Any], epsilon: float) -> None:
    result = evaluate("batch_norm", {"input": x, **given}, epsilon=epsilon)
    wide = {name: array.astype(np.float64) for name, array in given.items()}
    normal = (x - wide["mean"]) / np.sqrt(wide["variance"] + epsilon) * wide["scale"]
    bound = 3e-7 * (np.abs(normal) + np.abs(normal + wide["offset"]))
    assert result.dtype == np.float32
    np.testing.assert_array_less(np.abs(result - (normal + wide["offset"])), bound + 1e-30)


@pytest.mark.parametrize("shape", [(1, 5), (3, 5), (2, 4, 5), (1, 6, 3, 5), (3, 1, 1, 1)])
@pytest.mark.parametrize("epsilon", [1e-3, 1e-5])
def test_rank_and_batch(shape: tuple[int, ...], epsilon: float) -> None:
    check(floats(*shape), statistics(shape[-1]), epsilon)


def test_bands_of_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("mnetdsl.interpreter.ops.batch_norm"), "BAND_ELEMENTS", 1)
    check(floats(2, 5, 3, 4), statistics(4), 1e-3)


def test_a_far_mean_does_not_cancel() -> None:
    given = {**statistics(3), "mean": np.array([1e4, -1e5, 3e3], np.float32)}
    check(given["mean"] + floats(1, 4, 4, 3), given, 1e-3)


def test_a_channel_without_variance_is_divided_by_the_root_of_epsilon() -> None:
    given = {**statistics(2), "variance": np.zeros(2, np.float32)}
    check(floats(1, 3, 3, 2), given, 1e-5)
