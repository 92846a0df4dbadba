"""Real numbers are told apart by errors, stored integers by steps, each with what would have been accepted."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.ir.core import Op
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.validate.compare import Difference
from mnetdsl.validate.judge import judge
from mnetdsl.validate.report import Comparison
from tests.backends.c.quantized.layers import Layers


def layer(real: bool) -> Op:
    layers = Layers(1)
    stored = layers.weighted("conv2d", layers.input(4, 4, 4), (1, 1, 4, 4))
    value = layers.op("dequantize", {"input": stored}) if real else stored
    assert value.producer is not None
    return value.producer


def judged(apart: float, tolerance: float = 0.0, steps: int = 0, real: bool = False) -> Comparison:
    difference = Difference()
    kind = np.float32 if real else np.int8
    difference.add(np.full((1, 4), 4, kind), (np.full((1, 4), 4) + apart).astype(kind))
    return judge(layer(real), difference, tolerance, steps)


@pytest.mark.parametrize(
    ("comparison", "said"),
    [
        (judged(1), "up to 1 step apart; stored integers must be equal"),
        (judged(3, steps=1), "up to 3 steps apart; at most 1 is accepted"),
        (judged(3, tolerance=0.5), "up to 3 steps apart; stored integers must be equal"),
        (judged(1, real=True), "error 1.00e+00, 2.50e-01 of the largest magnitude 4; here the bits must be equal"),
        (
            judged(1, 1e-4, real=True),
            "error 1.00e+00, 2.50e-01 of the largest magnitude 4; at most 0.0001 is accepted",
        ),
    ],
)
def test_what_differs_is_said_in_its_own_unit(comparison: Comparison, said: str) -> None:
    assert not comparison.agrees
    assert comparison.difference() == said


def test_what_is_accepted_agrees() -> None:
    assert judged(1, steps=1).agrees
    assert judged(1, tolerance=0.25, real=True).agrees
    assert judged(0).agrees


def test_a_result_that_cannot_be_compared_never_agrees() -> None:
    difference = Difference()
    difference.add(np.zeros((1, 4), np.int8), None)
    comparison = judge(layer(real=False), difference, 1.0, steps=200)
    assert not comparison.agrees
    assert comparison.difference() == "no result"
    assert comparison.as_json()["absolute"] is None


def test_types_decide_what_is_an_integer() -> None:
    assert layer(real=True).type == TensorType(layer(real=True).type.shape, ElementType.F32)
    assert judged(0).integers
    assert not judged(0, real=True).integers
