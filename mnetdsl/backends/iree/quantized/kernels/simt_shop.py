"""What layers of stored bytes are made with on targets of scalar invocations."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.iree.kernels.executables import Call, Sized
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.workshop import Shop
from mnetdsl.backends.iree.layout import Packed
from mnetdsl.backends.iree.quantized.kernels.simt_layout import as_bytes, as_words
from mnetdsl.backends.iree.quantized.kernels.simt_maps import SimtByteLookup
from mnetdsl.backends.iree.quantized.kernels.simt_words import table_words, words_of
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op, Value

WIDE = Unsuitable("its numbers have 16 bits")


def words(shop: Shop, value: Value) -> MlirValue:
    """`value` flat, channels padded to words."""
    return as_words(shop.scope.packed(value, padded_size(value.type.shape[-1], BYTES)).value)


def run(shop: Shop, op: Op, kernel: Sized, arguments: list[MlirValue], call: Call) -> str:
    """Emits the layer and returns its kernel's name."""
    result = shop.executables.dispatch_sized(kernel, arguments, call)
    shop.scope.bind_packed(op.result, Packed(as_bytes(result), padded_size(op.type.shape[-1], BYTES)))
    return kernel.name


def looked_up(shop: Shop, value: Value, table: NDArray[Any], name: str) -> tuple[str, MlirValue]:
    """The kernel's name and the words of `value` by a table [256] or [channels, 256]; `name` is its resource's."""
    *outer, channels = value.type.shape
    across = words_of(channels)
    if table.ndim == 2:
        table = np.pad(table, [(0, across * BYTES - channels), (0, 0)])
    kernel = SimtByteLookup(table.ndim == 2)
    entries = shop.scope.prepared(name, table_words(table))
    call = kernel.call(prod(outer) * across, across)
    return kernel.name, shop.executables.dispatch_sized(kernel, [words(shop, value), entries], call)


def is_bytes(*values: Value) -> bool:
    return all(value.type.element.byte_width == 1 for value in values)
