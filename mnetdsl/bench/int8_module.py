"""What a quantized network and other engines' files of it are given, so that all of them compute the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mnetdsl.exporters.inputs import exported_inputs
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Op

Array = NDArray[np.generic]


def random_inputs(module: Module, seed: int = 1) -> list[Array]:
    """Of one image, every number that an input can have."""
    random = np.random.default_rng(seed)
    inputs: list[Array] = []
    for port in module.graph.inputs:
        type = port.value.type
        if type.element.is_float:
            inputs.append(random.standard_normal(type.shape).astype(np.float32))
        else:
            limits = np.iinfo(type.element.dtype)
            inputs.append(random.integers(limits.min, limits.max, type.shape, type.element.dtype, endpoint=True))
    return inputs


def inputs_elsewhere(written: Module, inputs: Mapping[str, Array]) -> list[Array]:
    """What files that `exporters` wrote of the quantized module `written` take in place of `inputs`."""
    exported = exported_inputs(written)
    wanted = {found.values[0] for found in exported}
    arrays: dict[object, Array] = {port.value: inputs[port.name] for port in written.graph.inputs}

    def keep(op: Op, array: Array) -> None:
        if op.result in wanted:
            arrays[op.result] = array

    run(written, inputs, keep)
    return [arrays[found.values[0]] for found in exported]
