"""What the emitter of one layer sees of the module being emitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith
from numpy.typing import NDArray

from mnetdsl.backends.iree.integers import WIDE, Integers
from mnetdsl.backends.iree.layout import LINALG, Layout, Packed
from mnetdsl.backends.iree.tensors import MlirValue, element_type, tensor_type
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType

_ELEMENTS = {element.dtype: element for element in ElementType}
"""By NumPy's name of the dtype."""


class Scope:
    """Values emitted so far and the arrays of the module.

    A value has up to two forms: a tensor of its IR type, and the flat one of own kernels (`layout`). Whichever is asked
    for is made from the other, once.
    """

    def __init__(
        self, resources: Mapping[str, NDArray[np.generic]], integers: Integers = WIDE, layout: Layout = LINALG
    ) -> None:
        self.integers = integers
        """How the target computes products of 32-bit integers."""
        self.layout = layout
        """How one form of a value is made from the other."""
        self._resources = resources
        self._values: dict[Value, MlirValue] = {}
        self._packed: dict[Value, Packed] = {}
        self._attributes: dict[str, Any] = {}

    def bind(self, value: Value, emitted: MlirValue) -> None:
        self._values[value] = emitted

    def bind_packed(self, value: Value, packed: Packed) -> None:
        self._packed[value] = packed

    def value(self, value: Value) -> MlirValue:
        """The emitted counterpart of an operand, a tensor of its type."""
        if value not in self._values:
            self._values[value] = self.layout.unpack(self._packed[value], value.type.shape)
        return self._values[value]

    def optional(self, value: Value | None) -> MlirValue | None:
        return None if value is None else self.value(value)

    def packed(self, value: Value, pitch: int | None = None) -> Packed:
        """The flat form of an operand; where `pitch` is None, under any pitch."""
        found = self._packed.get(value)
        if found is not None and pitch in (None, found.pitch):
            return found
        made = self.layout.pack(self.value(value), pitch or value.type.shape[-1])
        if found is None:
            self._packed[value] = made
        return made

    def array(self, value: Value | None) -> NDArray[np.float32] | None:
        """The float32 array of a constant operand; None for any other."""
        return self.stored(value) if value is not None and value.type.element.is_float else None

    def stored(self, value: Value | None) -> NDArray[Any] | None:
        """The array of a constant operand, as its type stores it; None for any other."""
        producer = None if value is None else value.producer
        if not isinstance(producer, Constant):
            return None
        return np.asarray(self._resources[producer.resource], producer.type.element.dtype)

    def resource(self, name: str, value: Value) -> Any:
        """The attribute that holds array `name`; two constants on one array share its bytes."""
        if name not in self._attributes:
            array = np.ascontiguousarray(self._resources[name], value.type.element.dtype)
            self._attributes[name] = mlir.DenseResourceElementsAttr.get_from_buffer(
                array, name, tensor_type(value.type), alignment=64
            )
        return self._attributes[name]

    def prepared(self, name: str, array: NDArray[Any]) -> MlirValue:
        """A constant made for a kernel, as a flat tensor; `name` is its resource's and belongs to it alone."""
        return self.made(name, array.reshape(-1))

    def made(self, name: str, array: NDArray[Any]) -> MlirValue:
        """As `prepared`, in the shape of `array`, float32 or integers."""
        whole = np.ascontiguousarray(array)
        type = mlir.RankedTensorType.get(whole.shape, element_type(_ELEMENTS[whole.dtype.name]))
        return arith.constant(type, mlir.DenseResourceElementsAttr.get_from_buffer(whole, name, type, alignment=64))


class LayerEmitter(Protocol):
    """Emits one operation at MLIR's current insertion point and returns its result, a tensor of the op's type."""

    def __call__(self, scope: Scope, op: Op) -> MlirValue: ...
