"""Constants as C tables: laid out for the kernel, printed exactly, refused where C has no number for them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mnetdsl.backends.c import generate
from mnetdsl.backends.c.ops.conv2d import arrange_panels
from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Module
from tests.backends.c.harness import Cases, check_cases


def dense_with(weight: np.ndarray) -> Module:
    cases = Cases()
    filter = cases.maker.constant("head.weight", weight)
    cases.finish(cases.op("dense", {"input": cases.value(weight.shape[0]), "filter": filter}))
    return cases.module


def test_a_missing_weight_is_named() -> None:
    module = dense_with(np.ones((2, 2), np.float32))
    del module.resources["head.weight"]
    with pytest.raises(MnetError, match=r"MN0720.*head\.weight"):
        generate(module)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_named_with_its_place(bad: float) -> None:
    weight = np.ones((2, 3), np.float32)
    weight[1, 2] = bad
    with pytest.raises(MnetError, match=rf"MN1112.*head\.weight.*{bad} at index 5"):
        generate(dense_with(weight))


def test_extreme_and_whole_numbers_are_printed_exactly() -> None:
    values = np.array(
        [0.0, -0.0, 1.0, -3.0, 1e-45, 3.4028235e38, 1e9, 123456789.0, 0.1, 1e-5, 16777216.0, 2.0**-126], np.float32
    )
    table = np.concatenate([values, -values, np.random.default_rng(0).standard_normal(16).astype(np.float32)])
    files = generate(dense_with(table.reshape(-1, 1))).files
    body = re.search(r"head_weight\[40\] = \{(.*?)\};", files["cases_weights.c"].decode(), re.DOTALL)
    assert body is not None
    printed = np.array([float(text.removesuffix("f")) for text in body[1].replace(",", " ").split()], np.float32)
    np.testing.assert_array_equal(printed.view(np.uint32), table.view(np.uint32))


def test_one_weight_of_two_layers_is_stored_once() -> None:
    cases = Cases()
    filter, bias = cases.weight(4, 4), cases.weight(4)
    x = cases.value(4)
    for _ in range(2):
        x = cases.op("dense", {"input": x, "filter": filter, "bias": bias})
    cases.finish(x)
    runner = check_cases(cases.module)
    assert [table.values.size for table in runner.package.program.weights] == [16, 4]


def test_panels_hold_sixteen_output_channels_in_one_run() -> None:
    filter = np.arange(2 * 3 * 20, dtype=np.float32).reshape(1, 2, 3, 20)
    panels = arrange_panels(filter)
    np.testing.assert_array_equal(panels[:96].reshape(6, 16), filter.reshape(6, 20)[:, :16])
    np.testing.assert_array_equal(panels[96:].reshape(6, 4), filter.reshape(6, 20)[:, 16:])
