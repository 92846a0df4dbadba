"""The interpreter behind the interface of all runners."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Op

Array = NDArray[np.generic]


class NumpyRunner:
    """See `runners.Runner`."""

    def __init__(self, module: Module) -> None:
        self._module = module

    def run(self, inputs: Mapping[str, Array], observe: Collection[str] = ()) -> dict[str, Array]:
        layers: dict[str, Array] = {}

        def keep(op: Op, result: Array) -> None:
            if op.name in observe:
                layers[op.name] = result

        outputs = run(self._module, inputs, keep if observe else None)
        return {**layers, **outputs}
