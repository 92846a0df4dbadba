"""Backends that go wrong on purpose, as entries of the table of runners."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.numpy_runner import NumpyRunner
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Op

Array = NDArray[Any]
Fault = Callable[[Array], Array | None]


@dataclass
class BrokenRunner:
    """Computes as the interpreter, but what `fault` makes of `layer` is what it and the layers behind it see.

    `fused` breaks the outputs only where nothing is observed, as a compiler does that fuses layers wrongly.
    """

    module: Module
    layer: str
    fault: Fault
    fused: bool = False
    calls: list[Collection[str]] = field(default_factory=list)

    def run(self, inputs: Mapping[str, Array], observe: Collection[str] = ()) -> dict[str, Array]:
        self.calls.append(observe)
        if self.fused and observe:
            return NumpyRunner(self.module).run(inputs, observe)
        results: dict[str, Array | None] = {}

        def spoil(op: Op, result: Array) -> None:
            if op.name == self.layer:
                # In place: the layers behind read the same array.
                spoiled = self.fault(result)
                if spoiled is not None and spoiled.shape == result.shape:
                    result[...] = spoiled
                results[op.name] = spoiled
            elif op.name in observe:
                results[op.name] = result

        outputs = run(self.module, inputs, spoil)
        kept = {name: array for name, array in results.items() if array is not None and name in observe}
        return {**kept, **outputs}


@dataclass
class CrashingRunner:
    """Runs `healthy` times, then fails as a driver does."""

    module: Module
    healthy: int = 0

    def run(self, inputs: Mapping[str, Array], observe: Collection[str] = ()) -> dict[str, Array]:
        if self.healthy <= 0:
            raise MnetError(error("MN1227", "the process ended by itself"))
        self.healthy -= 1
        return NumpyRunner(self.module).run(inputs, observe)


def off_by(error: float) -> Fault:
    """One value is wrong by a fraction of the largest."""

    def fault(result: Array) -> Array:
        spoiled = result.copy()
        spoiled.flat[spoiled.size // 2] += np.float32(error * np.abs(result).max())
        return spoiled

    return fault


def one_nan(result: Array) -> Array:
    spoiled = result.copy()
    spoiled.flat[-1] = np.nan
    return spoiled


def transposed(result: Array) -> Array:
    return np.swapaxes(result, 1, 3)


def lost(result: Array) -> Array | None:
    return None
