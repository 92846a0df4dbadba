"""What every layer with an own kernel is made with, whatever the kernel is written for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mnetdsl.backends.iree.kernels.executables import Elements, Executables, Kernel
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.storage import Storage
from mnetdsl.backends.iree.layout import Packed, stored_as
from mnetdsl.backends.iree.scope import Scope
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op, Value
from mnetdsl.ir.ops.shape import Reshape


@dataclass(frozen=True)
class Shop:
    """Values and constants, executables, how maps are stored."""

    scope: Scope
    executables: Executables
    storage: Storage

    def width(self, value: Value) -> int:
        """Channels of `value` as kernels store them."""
        return padded_size(value.type.shape[-1], self.storage.multiple)

    def map(self, value: Value) -> Packed:
        """`value` as layers store it for each other."""
        return stored_as(self.scope.packed(value, self.width(value)), self.storage.element)

    def lanewise(self, value: Value) -> MlirValue:
        """`value` flat, its channels padded to whole vectors."""
        return self.map(value).value

    def elements(self, op: Op, source: str | None = None, other: str | None = None) -> Elements:
        """How the maps of `op` are stored, as layers do unless `source` or `other` (residual, second operand) say."""
        element = self.storage.element
        return Elements(source or element, self.storage.element_of(op.result), other or element)

    def run(self, op: Op, kernel: Kernel, arguments: Sequence[MlirValue]) -> str:
        """Emits the layer and returns its kernel's name."""
        result, *_ = self.executables.dispatch(kernel, arguments)
        self.scope.bind_packed(op.result, Packed(result, self.width(op.result)))
        return kernel.name


def reshape(shop: Shop, op: Op) -> str | Unsuitable:
    """Another name for the same bytes, where no padding comes between them."""
    assert isinstance(op, Reshape)
    before, after = op.input.type.shape, op.type.shape
    same_pixels = before[-1] == after[-1]
    if not same_pixels and (before[-1] % shop.storage.multiple or after[-1] % shop.storage.multiple):
        return Unsuitable("it moves channels that are stored with padding")
    source = shop.scope.packed(op.input, shop.width(op.input))
    shop.scope.bind_packed(op.result, Packed(source.value, shop.width(op.result)))
    return "reshape"


OwnLayer = Callable[[Any, Op], str | Unsuitable]
"""Emits a layer with the workshop of its kind, and names its kernel; or says why it cannot."""
