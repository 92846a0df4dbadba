"""Calibration images as the network takes them: arrays for its one input, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.core import Module, Port
from mnetdsl.ir.types import ElementType

Array = NDArray[np.generic]

BATCH = 4


@dataclass(frozen=True)
class Calibration:
    """Arrays [N, …] for the one input, in batches; `files` are what they were read from, in order.

    left_out: how many files lay beside them that are neither images nor arrays.
    """

    input: str
    batches: tuple[Array, ...]
    files: tuple[Path, ...] = ()
    left_out: int = 0

    @property
    def images(self) -> int:
        return sum(len(batch) for batch in self.batches)


def batched(name: str, arrays: Sequence[Array], files: Sequence[Path] = (), left_out: int = 0) -> Calibration:
    """Calibration with `arrays` [N, …] for the input `name`."""
    stacked = np.concatenate(list(arrays))
    batches = tuple(stacked[start : start + BATCH] for start in range(0, len(stacked), BATCH))
    return Calibration(name, batches, tuple(files), left_out)


def calibrated_input(module: Module) -> Port:
    """The one input. Raises MN1808 for networks of several."""
    ports = module.graph.inputs
    if len(ports) == 1:
        return ports[0]
    listed = ", ".join(f"`{port.name}`" for port in ports) or "none"
    raise MnetError(
        error(
            "MN1808",
            f"`{module.name}` has {len(ports)} inputs: {listed}",
            help="a network of one input can be calibrated with the files of a folder",
        )
    )


def takes_floats(port: Port) -> bool:
    """Whether the input holds real numbers, which are quantized themselves."""
    return port.value.type.element is ElementType.F32
