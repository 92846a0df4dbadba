"""Intervals and tests equal independent definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from mnetdsl.evaluate import Pairing, Share, confusions, pair, predictions, ranks


@pytest.mark.parametrize(("count", "total"), [(0, 5), (5, 5), (169, 300), (1, 1000)])
def test_the_interval_is_wilsons(count: int, total: int) -> None:
    expected = binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert Share(count, total).interval == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("mine", "theirs"), [(0, 0), (3, 9), (10, 10), (40, 70)])
def test_p_is_that_of_the_exact_binomial_test(mine: int, theirs: int) -> None:
    expected = binomtest(mine, mine + theirs).pvalue if mine + theirs else 1.0
    assert Pairing(100, mine, theirs, 20, None).p_value == pytest.approx(expected)


def test_the_difference_of_pairs_ignores_what_both_get_right() -> None:
    few = Pairing(10, 3, 9, 10, None)
    many = Pairing(1000, 3, 9, 10, None)
    assert few.difference == pytest.approx(6 / 32)
    assert few.p_value == many.p_value
    low, high = few.interval
    assert low < few.difference < high
    assert high - few.difference == pytest.approx(few.difference - low)


def test_of_equal_logits_the_lower_class_comes_first() -> None:
    logits = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 2.0, 1.0]], np.float32)
    assert ranks(logits, [0, 1, 0]).tolist() == [0, 1, 2]
    assert predictions(logits).tolist() == [0, 0, 1]


def test_a_row_that_is_not_finite_is_never_right() -> None:
    logits = np.array([[np.nan, 0.0], [np.inf, 0.0]], np.float32)
    assert ranks(logits, [0, 0]).tolist() == [2, 2]


def test_confusions_are_ordered_by_how_often_they_happen() -> None:
    assert confusions([1, 1, 0, 2, 2], [0, 0, 0, 1, 2], most=5) == [(0, 1, 2), (1, 2, 1)]


def test_networks_of_different_class_numbers_are_paired_by_being_right() -> None:
    this = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    other = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    paired = pair(this, other, [1, 1, 1], [2, 2, 2])
    assert (paired.both, paired.only_this, paired.only_other, paired.neither) == (1, 1, 1, 0)
    assert paired.agree is None


def test_images_that_two_networks_see_differently_are_named() -> None:
    this = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    other = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    paired = pair(this, other, [1, 1, 1], [1, 1, 1])
    assert paired.agree == 1
    assert paired.differing == ((1, 0, 1), (2, 1, 0))
