"""Observers, equalization and rounding, each on numbers whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl.interpreter import run
from mnetdsl.interpreter.ops.activation import ACTIVATIONS
from mnetdsl.ir.core import Op
from mnetdsl.ir.types import ElementType
from mnetdsl.quantize import bias
from mnetdsl.quantize.apply import quantizable
from mnetdsl.quantize.equalize import equalize, scalable_groups
from mnetdsl.quantize.grid import numbers, real_range, rounded, storage_for
from mnetdsl.quantize.histogram import Histogram, TensorStatistics
from mnetdsl.quantize.observe import observe
from mnetdsl.quantize.ranges import OBSERVERS
from mnetdsl.quantize.rounding import Moments, learned, output_error
from mnetdsl.quantize.weights import best_scales, bias_codes, extreme_scales, nearest, scales_for_biases
from mnetdsl.sema.values import Activation
from tests.quantize.networks import NET, network, pictures

RANDOM = np.random.default_rng(5)


def statistics(values: NDArray[np.float64]) -> TensorStatistics:
    found = TensorStatistics.of(values.shape[-1])
    found.add(values.astype(np.float32))
    return found


def test_a_histogram_depends_on_the_values_and_not_on_their_order() -> None:
    values = (RANDOM.standard_normal(5000) * 10 ** RANDOM.uniform(-3, 3, 5000)).astype(np.float32)
    whole, parts = Histogram(), Histogram()
    whole.add(values)
    for part in np.array_split(values[::-1], 7):
        parts.add(part)
    assert whole.exponent == parts.exponent
    assert np.array_equal(whole.counts, parts.counts)
    assert whole.total == 5000


@pytest.mark.parametrize("name", list(OBSERVERS))
def test_every_observer_stays_inside_of_what_was_seen(name: str) -> None:
    seen = statistics(RANDOM.standard_normal((100, 8)))
    low, high = OBSERVERS[name].choose(seen)
    assert seen.range[0] - 1e-3 <= low < high <= seen.range[1] + 1e-3


def test_one_far_value_widens_minimum_and_maximum_alone() -> None:
    values = RANDOM.standard_normal((5000, 8))
    values[0, 0] = 500.0
    seen = statistics(values)
    assert OBSERVERS["min-max"].choose(seen)[1] == 500.0
    assert OBSERVERS["percentile"].choose(seen)[1] < 10.0


def test_the_range_of_least_error_loses_least_in_fact() -> None:
    exact = RANDOM.laplace(size=(4000, 8))
    seen, values = statistics(exact), exact.astype(np.float32)

    def lost(name: str) -> float:
        return float(np.square(values - rounded(values, storage_for(*OBSERVERS[name].choose(seen)))).mean())

    assert lost("mse") == min(lost(name) for name in OBSERVERS)
    assert lost("mse") < lost("min-max")


@pytest.mark.parametrize(("low", "high"), [(0.0, 6.0), (-1.0, 1.0), (-0.4, 20.0), (3.0, 5.0), (-5.0, -3.0), (0.0, 0.0)])
def test_zero_has_a_code_and_the_range_is_covered(low: float, high: float) -> None:
    for element in (ElementType.I8, ElementType.I16):
        storage = storage_for(low, high, element)
        scale, _ = numbers(storage)
        assert scale > 0.0
        assert rounded(np.zeros(1, np.float32), storage)[0] == 0.0
        first, last = real_range(storage)
        assert first <= min(low, 0.0) + scale
        assert last >= max(high, 0.0) - scale


def test_equalization_changes_ranges_and_not_the_network(tmp_path: Path) -> None:
    module = quantizable(network(tmp_path / "net", act=Activation("relu")).module)
    batch = {"image": np.concatenate(pictures(4))}
    before, seen = run(module, batch), observe(module, [batch])
    extents = {name: np.maximum(np.abs(item.low), np.abs(item.high)) for name, item in seen.items()}
    module.resources = dict(module.resources)
    done = equalize(module, module.resources, extents)
    assert {"stem.conv", "middle.project.conv", "middle.add"} <= {name for item in done for name in item.tensors}
    after, now = run(module, batch), observe(module, [batch])
    assert np.allclose(before["logits"], after["logits"], rtol=1e-4, atol=1e-5)

    def spread(found: TensorStatistics) -> float:
        largest = np.maximum(np.abs(found.low), np.abs(found.high))
        return float(largest.max() / np.median(largest))

    assert spread(now["middle.project.conv"]) <= spread(seen["middle.project.conv"])


def test_what_clips_at_six_is_not_scaled(tmp_path: Path) -> None:
    module = quantizable(network(tmp_path / "net").module)
    scaled = {value.producer.name for group in scalable_groups(module) for value in group.values if value.producer}
    assert not scaled & {"stem.conv", "middle.depthwise.conv", "last", "swish"}


def test_scales_of_least_error_are_no_worse_than_those_of_the_largest_weight() -> None:
    rows = RANDOM.laplace(size=(16, 64))
    lost = [np.square(nearest(rows, scale).real - rows).sum() for scale in (extreme_scales(rows), best_scales(rows))]
    assert lost[1] <= lost[0]


def test_learned_rounding_keeps_the_results_better_on_inputs_it_has_not_seen() -> None:
    mixing = RANDOM.standard_normal((24, 24)) * np.linspace(0.1, 2, 24)
    seen, unseen = (RANDOM.standard_normal((4000, 24)) @ mixing for _ in range(2))
    moments = Moments()
    for part in np.array_split(seen.astype(np.float32), 5):
        moments.add(part)
    rows = RANDOM.standard_normal((12, 24))
    scale = extreme_scales(rows) * 8
    covariance = moments.covariance()
    assert np.allclose(covariance, np.cov(seen.T, bias=True), rtol=1e-3, atol=1e-3)
    better, plain = learned(rows, scale, covariance, moments.count), nearest(rows, scale)
    errors = [np.square(unseen @ (codes.real - rows).T).mean() for codes in (better, plain)]
    assert errors[0] < 0.7 * errors[1]
    assert output_error(rows, better, covariance).sum() < output_error(rows, plain, covariance).sum()


def test_moments_of_huge_numbers_stay_finite() -> None:
    seen = RANDOM.standard_normal((400, 3, 9))
    found = []
    for size in (1.0, 2.0**70):
        moments = Moments()
        moments.add((seen * size).astype(np.float32))
        found.append(moments.covariance() / size**2)
    assert np.allclose(found[0], found[1], rtol=1e-3, atol=1e-4)


def test_with_few_windows_weights_are_rounded_to_the_nearest() -> None:
    seen = RANDOM.standard_normal((2, 400))
    moments = Moments()
    moments.add(seen.astype(np.float32))
    rows = RANDOM.standard_normal((8, 400))
    scale = extreme_scales(rows)
    moved = learned(rows, scale, moments.covariance(), moments.count).codes != nearest(rows, scale).codes
    assert moved.mean() < 0.02


def test_a_filter_of_zeros_leaves_its_bias_as_fine_as_any() -> None:
    rows, biases = np.vstack([np.zeros((2, 9)), RANDOM.standard_normal((2, 9))]), np.array([0.37, -5.25, 0.37, 0.0])
    scale = scales_for_biases(extreme_scales(rows), rows, biases, input_scale=0.1)
    stored = bias_codes(biases, 0.1, scale)
    assert np.abs(stored * 0.1 * scale - biases).max() < 1e-3
    assert np.abs(stored).max() < 2**31
    assert (scale[2:] == extreme_scales(rows)[2:]).all()


def layers(folder: Path) -> dict[str, Op]:
    module = quantizable(network(folder / "net", act=Activation("relu")).module)
    return {op.name: op for op in module.graph.operations}


def test_a_bias_is_corrected_for_what_is_seen_behind_the_function(tmp_path: Path) -> None:
    hard_swish = bias.function_behind(layers(tmp_path)["last"])
    assert hard_swish is not None
    seen = RANDOM.uniform(-20, 2, (4000, 3)).astype(np.float32)
    given = np.where(seen < -4, seen - 1, seen + 0.25).astype(np.float32)  # what is wrong below -4 nobody sees
    mean, behind = (bias.correction(seen, given, function) for function in (None, hard_swish))
    assert (mean > 0.5).all()
    assert np.allclose(behind, -0.25, atol=0.02)
    lost = [
        np.square(hard_swish(seen) - hard_swish(given + found.astype(np.float32))).sum() for found in (mean, behind)
    ]
    assert lost[1] < 0.01 * lost[0]


@pytest.mark.parametrize(("name", "size"), [("relu", 1e-4), ("relu6", 1e3), ("hard_sigmoid", 1e4), ("tanh", 1e3)])
def test_numbers_far_from_the_bends_of_a_function_are_corrected_by_their_mean(name: str, size: float) -> None:
    seen = ((RANDOM.standard_normal((4000, 4)) + 3) * size).astype(np.float32)
    given = seen + np.float32(0.3 * size)

    def function(values: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.empty_like(values)
        ACTIVATIONS[name](values, out)
        return out

    def lost(added: NDArray[np.float64]) -> float:
        return float(np.square(function(seen) - function(given + added.astype(np.float32)), dtype=np.float64).sum())

    assert lost(bias.correction(seen, given, function)) < 1e-3 * lost(np.zeros(4))


def test_a_channel_that_gives_nothing_keeps_its_bias(tmp_path: Path) -> None:
    relu = bias.function_behind(layers(tmp_path)["stem.conv"])
    seen = RANDOM.uniform(-9, -5, (500, 2)).astype(np.float32)
    assert (bias.correction(seen, seen + np.float32(0.5), relu) == 0.0).all()


def test_functions_behind_each_other_are_seen_through(tmp_path: Path) -> None:
    text = NET.replace("hard_swish(x) as swish", "hard_swish(relu6(x)) as swish")
    module = quantizable(network(tmp_path / "net", text).module)
    last = next(op for op in module.graph.operations if op.name == "last")
    assert last.attributes["activation"] == "relu6"
    function = bias.function_behind(last)
    assert function is not None
    assert np.allclose(function(np.array([[-2.0, 1.5, 9.0]], np.float32)), [[0.0, 1.125, 6.0]])


def test_what_is_given_away_keeps_its_mean(tmp_path: Path) -> None:
    text = NET.replace("x = hard_swish(x)", "output raw = x\n  x = hard_swish(x)")
    module = quantizable(network(tmp_path / "net", text).module)
    last = next(op for op in module.graph.operations if op.name == "last")
    assert bias.function_behind(last) is not None
    assert bias.function_behind(last, [port.value for port in module.graph.outputs]) is None


def test_a_bias_that_was_corrected_without_measure_is_still_a_number_of_32_bits() -> None:
    assert (np.abs(bias_codes(np.array([1e9, -1e9]), 1e-3, np.array([1e-3, 1e-3]))) < 2**31).all()
