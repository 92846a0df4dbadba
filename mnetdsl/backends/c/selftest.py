"""Vectors embedded in `<m>_selftest.c`: what the model must answer on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
    magnitude. `layers` are results of layers by name, [N, …] each: those of integers are compared bit by bit where the
    model is built to do so, by a checksum of their bytes.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    tolerance: float = 1e-4
    layers: Mapping[str, Array] = field(default_factory=dict)


def selftest_vectors(module: Module, test: SelfTest, layers: Sequence[tuple[str, int]] = ()) -> SelfTestVectors:
    """The vectors as C text, in the order of the ports; checksums in the order of `layers`: names, and how many bytes
    the program makes of their results, whose last rows nobody may ask for.
    """
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
        layers=_checksums(test, layers),
    )


def checksum(data: bytes) -> int:
    """FNV-1a of 32 bits (Fowler, Noll, Vo; draft-eastlake-fnv), never 0, which stands for no checksum."""
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value or 1


def _checksums(test: SelfTest, layers: Sequence[tuple[str, int]]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Each layer with its checksums, one a vector; 0 where it is not compared. Empty where none is."""
    count = len(next(iter(test.inputs.values())))
    found = []
    for name, made in layers:
        array = test.layers.get(name)
        if array is None or array.dtype.kind not in "iu":
            found.append((name, (0,) * count))
        else:
            found.append((name, tuple(checksum(array[i].tobytes()[:made]) for i in range(count))))
    return tuple(found) if any(any(sums) for _, sums in found) else ()
