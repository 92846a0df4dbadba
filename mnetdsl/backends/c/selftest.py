"""Vectors embedded in `<m>_selftest.c`: what the model must answer on the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.literals import array_body, float_literal
from mnetdsl.backends.c.program import SelfTestVectors
from mnetdsl.ir.core import Module

Array = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class SelfTest:
    """Inputs and expected outputs by port name, each [N, …] with one N.

    An output passes where it differs from the expected one by at most `tolerance` times that output's largest
    magnitude.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    tolerance: float = 1e-4


def selftest_vectors(module: Module, test: SelfTest) -> SelfTestVectors:
    """The vectors as C text, in the order of the ports."""
    inputs = [test.inputs[port.name] for port in module.graph.inputs]
    outputs = [test.outputs[port.name] for port in module.graph.outputs]
    counts = {len(array) for array in (*inputs, *outputs)}
    if len(counts) != 1:
        raise ValueError(f"self-test arrays have different numbers of vectors: {sorted(counts)}")
    tolerances = [max(test.tolerance * float(np.abs(array).max()), 1e-30) for array in outputs]
    return SelfTestVectors(
        count=counts.pop(),
        inputs=tuple(array_body(array) for array in inputs),
        outputs=tuple(array_body(array) for array in outputs),
        tolerances=tuple(float_literal(value) for value in tolerances),
    )
