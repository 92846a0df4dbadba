"""Made-up inputs: the ends of every range, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.ir.core import Port, Value
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.validate.cases import make_cases


def port(*shape: int, element: ElementType = ElementType.U8, **attributes: tuple[float, ...]) -> Port:
    return Port("image", Value(TensorType((1, *shape), element)), dict(attributes))


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        (port(9, 7, 3), 0, 255),
        (port(9, 7, 3, element=ElementType.I8), -128, 127),
        (port(9, 7, 3, element=ElementType.F32), -1.0, 1.0),
        (port(9, 7, 3, element=ElementType.F32, std=(255.0,)), 0.0, 255.0),
        (port(20), 0, 255),
    ],
)
def test_cases_reach_both_ends_of_the_range_and_no_further(given: Port, low: float, high: float) -> None:
    cases = make_cases([given], seed=0)
    array = cases.arrays["image"]
    assert array.shape == (len(cases.names), *given.value.type.shape[1:])
    assert array.dtype == given.value.type.element.dtype
    assert (array[cases.names.index("lowest")] == low).all()
    assert (array[cases.names.index("highest")] == high).all()
    assert array.min() == low
    assert array.max() == high


def test_the_seed_decides() -> None:
    first, again, other = (make_cases([port(8, 8, 3)], seed).arrays["image"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_neighbours_are_alike_in_natural_cases_and_not_in_noise() -> None:
    cases = make_cases([port(64, 48, 3)], seed=0)

    def roughness(name: str) -> float:
        picture = cases.arrays["image"][cases.names.index(name)].astype(np.float64)
        return float(np.abs(np.diff(picture, axis=1)).mean() / picture.std())

    assert roughness("natural 1") < 0.5 * roughness("noise")


def test_channels_of_the_gradient_differ() -> None:
    cases = make_cases([port(16, 16, 3)], seed=0)
    gradient = cases.arrays["image"][cases.names.index("gradient")]
    assert len({gradient[..., channel].tobytes() for channel in range(3)}) == 3


def test_one_pixel_is_no_exception() -> None:
    assert make_cases([port(1, 1, 1)], seed=0).arrays["image"].shape == (6, 1, 1, 1)


def test_chunks_hold_every_input_once() -> None:
    cases = make_cases([port(4, 4, 1)], seed=0)
    pieces = cases.chunks(4)
    assert [len(piece["image"]) for piece in pieces] == [4, 2]
    assert np.array_equal(np.concatenate([piece["image"] for piece in pieces]), cases.arrays["image"])
