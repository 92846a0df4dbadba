"""What counts as how far apart."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from mnetdsl.validate.compare import Difference


def difference(reference: list[float], result: list[float]) -> Difference:
    found = Difference()
    found.add(np.array(reference, np.float32), np.array(result, np.float32))
    return found


def test_errors_are_fractions_of_the_largest_magnitude() -> None:
    found = difference([-8.0, 0.001], [-8.0, 0.005])
    assert found.absolute == pytest.approx(0.004)
    assert found.relative == pytest.approx(0.0005)


def test_pieces_add_up_to_the_largest_error_and_the_largest_magnitude() -> None:
    found = difference([1.0], [1.5])
    found.add(np.array([100.0], np.float32), np.array([100.0], np.float32))
    assert (found.absolute, found.peak) == (0.5, 100.0)


def test_nothing_is_equal_to_nothing_and_something_is_not() -> None:
    assert difference([0.0, 0.0], [0.0, -0.0]).relative == 0.0
    assert difference([0.0, 0.0], [0.0, 1e-9]).relative == inf


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_finite_never_agrees(value: float) -> None:
    assert difference([1.0, 2.0], [1.0, value]).relative == inf
    assert difference([1.0, value], [1.0, value]).relative == inf
    assert "the interpreter itself" in str(difference([1.0, value], [1.0, 2.0]).problem)


def test_integers_do_not_wrap_around() -> None:
    found = Difference()
    found.add(np.array([-128, 127], np.int8), np.array([127, -128], np.int8))
    assert found.absolute == 255.0


def test_a_problem_stays_whatever_comes_behind() -> None:
    found = difference([1.0], [nan])
    found.add(np.array([1.0], np.float32), np.array([1.0], np.float32))
    assert found.problem is not None
