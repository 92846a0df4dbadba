"""Small graphs that tests of passes, interpreter and backends build by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.builder import Builder
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.types import TensorType


class GraphMaker:
    """A module under construction whose constants get values at once."""

    def __init__(self, name: str = "test", seed: int = 0) -> None:
        self.module = Module(name)
        self.builder = Builder(self.module.graph)
        self.random = np.random.default_rng(seed)

    def input(self, *shape: int, name: str = "image") -> Value:
        """An input of `shape`, batch left out."""
        return self.builder.input(name, TensorType((1, *shape))).value

    def constant(self, name: str, values: NDArray[np.float32]) -> Value:
        self.module.resources[name] = values
        return self.builder.constant(name, values.shape)

    def random_constant(self, name: str, *shape: int, scale: float = 1.0) -> Value:
        return self.constant(name, (self.random.standard_normal(shape) * scale).astype(np.float32))

    def output(self, value: Value, name: str = "result") -> Module:
        self.builder.output(name, value)
        return self.module
