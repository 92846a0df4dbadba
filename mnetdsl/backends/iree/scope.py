"""What the emitter of one layer sees of the module being emitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from iree.compiler import ir as mlir
from numpy.typing import NDArray

from mnetdsl.backends.iree.tensors import MlirValue, tensor_type
from mnetdsl.ir.core import Op, Value


class Scope:
    """Values emitted so far and the arrays of the module.

    `body` is where symbols beside the function go (executables of own kernels).
    """

    def __init__(self, body: Any, resources: Mapping[str, NDArray[np.generic]]) -> None:
        self.body = body
        self._resources = resources
        self._values: dict[Value, MlirValue] = {}
        self._attributes: dict[str, Any] = {}

    def bind(self, value: Value, emitted: MlirValue) -> None:
        self._values[value] = emitted

    def value(self, value: Value) -> MlirValue:
        """The emitted counterpart of an operand."""
        return self._values[value]

    def optional(self, value: Value | None) -> MlirValue | None:
        return None if value is None else self._values[value]

    def resource(self, name: str, value: Value) -> Any:
        """The attribute that holds array `name`; two constants on one array share its bytes."""
        if name not in self._attributes:
            array = np.ascontiguousarray(self._resources[name], value.type.element.dtype)
            self._attributes[name] = mlir.DenseResourceElementsAttr.get_from_buffer(
                array, name, tensor_type(value.type), alignment=64
            )
        return self._attributes[name]


class LayerEmitter(Protocol):
    """Emits one operation at MLIR's current insertion point and returns its result, a tensor of the op's type."""

    def __call__(self, scope: Scope, op: Op) -> MlirValue: ...
