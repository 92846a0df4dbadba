"""Which layers of stored bytes have a kernel of scalar invocations, and what it is given."""

from __future__ import annotations

from math import prod

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import flow
from numpy.typing import NDArray

from mnetdsl.backends.iree.integers import NARROW
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.simt.pointwise import FEW_ROWS
from mnetdsl.backends.iree.kernels.workshop import OwnLayer, Shop
from mnetdsl.backends.iree.layout import Packed
from mnetdsl.backends.iree.quantized.kernels.simt_pointwise import (
    TILE,
    SimtBytePointwise,
    SimtByteRows,
    weight_words,
)
from mnetdsl.backends.iree.quantized.layer import Numbers
from mnetdsl.backends.iree.quantized.levels import BYTES
from mnetdsl.backends.iree.quantized.simt import fits_byte
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.types import ElementType
from mnetdsl.numerics.clamps import activation_range


def filter_layer(shop: Shop, op: Op) -> str | Unsuitable:
    """A pointwise convolution or a dense layer."""
    assert isinstance(op, Conv2d | Dense)
    reason = _unsuitable(op)
    if reason is not None:
        return Unsuitable(reason)
    numbers = Numbers(shop.scope, op, unsigned_products=True)
    if not fits_byte(numbers.filter):
        return Unsuitable("its weights without their zero point need 9 bits")
    source = shop.scope.packed(op.input)
    if source.pitch % BYTES:
        return Unsuitable("its input's channels do not go by four")
    rows, channels = prod(op.type.shape[:-1]), op.type.shape[-1]
    filter, table = numbers.filter.reshape(-1, channels).astype(np.int8), _table(numbers)
    kernel = (SimtByteRows if rows < FEW_ROWS else SimtBytePointwise)(
        rows,
        source.pitch,
        padded_size(channels, BYTES),
        op.input.type.element is ElementType.I8,
        numbers.result.zero_point,
        activation_range(numbers.result, op.activation),
        len(table) > 3,
    )
    arguments = [
        _viewed(source.value, kernel.inputs[0].type),
        shop.scope.prepared(f"{op.name}.packed", weight_words(filter, source.pitch)),
        shop.scope.prepared(f"{op.name}.packed_finish", table),
    ]
    result, *_ = shop.executables.dispatch(kernel, arguments)
    bytes = mlir.RankedTensorType.get([rows * kernel.channels], mlir.IntegerType.get_signless(8))
    shop.scope.bind_packed(op.result, Packed(_viewed(result, bytes), kernel.channels))
    return kernel.name


def _unsuitable(op: Conv2d | Dense) -> str | None:
    if op.input.type.element.byte_width != 1 or op.type.element.byte_width != 1:
        return "its numbers have 16 bits"
    if isinstance(op, Dense):
        return None
    if op.filter.type.shape[:2] != (1, 1) or op.strides != (1, 1) or any(op.padding):
        return "only pointwise convolutions of bytes have a kernel of scalar invocations"
    return None


def _table(numbers: Numbers) -> NDArray[np.int32]:
    """[bias, multiplier, right shift, left shift where there are any][channels], padded to whole tiles."""
    table = np.stack([numbers.bias, *NARROW.operands(*numbers.factors)]).astype(np.int32)
    channels = table.shape[1]
    return np.pad(table, [(0, 0), (0, padded_size(channels, TILE) - channels)])


def _viewed(value: MlirValue, type: MlirValue) -> MlirValue:
    """The same memory as another type."""
    return value if value.type == type else flow.TensorBitCastOp(type, value, [], []).result


SIMT_BYTE_LAYERS: dict[str, OwnLayer] = dict.fromkeys(("conv2d", "dense"), filter_layer)
"""By opcode. An operation that is missing here always takes linalg."""
