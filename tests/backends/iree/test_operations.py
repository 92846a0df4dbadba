"""Every operation, in usual and unusual forms, computes on IREE what it computes on the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.iree.ops import EMITTERS
from mnetdsl.backends.iree.runner import IreeRunner
from mnetdsl.interpreter import run
from mnetdsl.ir.ops import FLOAT_OPERATIONS
from mnetdsl.ir.types import ElementType
from tests.backends.iree.cases import normalize, shape
from tests.backends.iree.cases.maker import CaseMaker
from tests.backends.iree.harness import TARGETS, all_operations, inputs_of, require_target

TOLERANCE = 1e-5
"""Of the largest magnitude: one layer, not a network."""


def test_every_operation_has_an_emitter_and_a_case() -> None:
    assert set(EMITTERS) == set(FLOAT_OPERATIONS)
    assert {op.opcode for op in all_operations().graph.operations} == set(FLOAT_OPERATIONS)


@pytest.mark.parametrize("target", TARGETS)
def test_results_agree_with_the_interpreter_for_a_batch(target: str) -> None:
    require_target(target)
    module = all_operations()
    inputs = inputs_of(module, batch=3)
    expected = run(module, inputs)
    results = IreeRunner(module, target).run(inputs)

    assert list(results) == list(expected)
    wrong = {}
    for name, reference in expected.items():
        result = results[name]
        assert (result.shape, result.dtype) == (reference.shape, reference.dtype), name
        # Each image by itself: the three differ in magnitude.
        for index, (one, other) in enumerate(zip(result, reference, strict=True)):
            error = float(np.abs(one - other).max() / max(float(np.abs(other).max()), 1e-30))
            if not error <= TOLERANCE:
                wrong[name, index] = error
        if target == "iree-cpu" and name in shape.EXACT | normalize.EXACT and not np.array_equal(result, reference):
            wrong[f"{name} (bits)", 0] = float(np.abs(result - reference).max())
    assert wrong == {}


@pytest.mark.parametrize("target", TARGETS)
def test_a_layer_is_right_where_it_is_observed_and_read_by_another(target: str) -> None:
    require_target(target)
    maker = CaseMaker("observed")
    image = maker.op("normalize", {"input": maker.fresh(7, 5, 3, element=ElementType.U8)}, mean=(0.0,), std=(1.0,))
    maker.output(maker.op("relu", {"input": maker.op("global_avg_pool", {"input": image})}), "mean")
    inputs = inputs_of(maker.module, batch=2)

    expected = run(maker.module, inputs)["mean"]
    observed = IreeRunner(maker.module, target).run(inputs, observe=["normalize_0"])
    np.testing.assert_allclose(observed["mean"].astype(np.float32), expected.astype(np.float32), rtol=1e-6)
