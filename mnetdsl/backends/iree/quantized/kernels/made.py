"""A layer of stored bytes with its kernel: for the whole map, or for some rows, as a stage of a chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

from mnetdsl.backends.iree.kernels.executables import Kernel
from mnetdsl.backends.iree.kernels.filters import Unsuitable
from mnetdsl.backends.iree.kernels.layers import Workshop
from mnetdsl.backends.iree.kernels.packing import padded_size
from mnetdsl.backends.iree.kernels.window import Window
from mnetdsl.backends.iree.quantized.kernels.frames import ByteFrame
from mnetdsl.backends.iree.quantized.kernels.maps import byte_isa, byte_map, run
from mnetdsl.backends.iree.quantized.layer import Array
from mnetdsl.backends.iree.tensors import MlirValue
from mnetdsl.ir.core import Op, Value


@dataclass(frozen=True, eq=False)
class ByteLayer:
    """kernel: takes the maps, then the constants. window: of the whole layer, over maps that stand as kernels read
    them.

    maps: emit what the kernel reads beside constants, which are `inputs` as it takes them. The first `by_rows` have
    rows of `pitch` bytes under the window, the others are read whole. row: bytes of a row of the result.
    arrays: constants by name, packed where they are asked for. frame: makes its map of the input's; `maps` does so
    already. joins: whether some rows of it can be made.
    """

    op: Op
    kernel: Kernel
    window: Window
    inputs: tuple[Value, ...]
    maps: Sequence[Callable[[], MlirValue]]
    pitch: int
    row: int
    arrays: Callable[[], list[tuple[str, Array]]]
    by_rows: int = 1
    frame: ByteFrame | None = None
    joins: bool = True

    @property
    def windows(self) -> list[Window]:
        """Of the frame and of the layer."""
        if self.frame is None:
            return [self.window]
        _, columns = self.window.size
        return [Window((self.frame.height, columns), (1, 1), (1, 1), (*self.frame.margins[:2], 0, 0)), self.window]

    @property
    def source(self) -> int:
        """Bytes of a row of the first input as another layer makes it."""
        return self.pitch if self.frame is None else self.frame.row


ByteWork = Callable[[Workshop, Op, int | None], ByteLayer | Unsuitable]
"""The layer by a kernel for so many rows in one workgroup, or for all of them where None."""


def constants(shop: Workshop, layer: ByteLayer) -> list[MlirValue]:
    return [shop.scope.prepared(f"{layer.op.name}.{name}", array) for name, array in layer.arrays()]


def alone(work: ByteWork) -> Callable[[Workshop, Op], str | Unsuitable]:
    """Emits a layer by a kernel of its own."""

    def emit(shop: Workshop, op: Op) -> str | Unsuitable:
        layer = work(shop, op, None)
        if isinstance(layer, Unsuitable):
            return layer
        pitch = layer.row // layer.window.outputs[1]
        return run(shop, op, layer.kernel, [*(emit() for emit in layer.maps), *constants(shop, layer)], pitch)

    return emit


def pixelwise(
    shop: Workshop, op: Op, values: tuple[Value, ...], pitch: int | None = None
) -> tuple[Window, list[Callable[[], MlirValue]], int]:
    """Of a layer whose every pixel comes of the same one of each of `values`: window, maps, bytes of a row. `pitch` is
    that of a pixel, else its channels are padded to whole vectors."""
    *_, columns, channels = op.type.shape if len(op.type.shape) > 2 else (1, *op.type.shape)
    pixels = prod(op.type.shape[:-1])
    window = Window((pixels // columns, columns), (1, 1), (1, 1), (0, 0, 0, 0))
    own = pitch or padded_size(channels, byte_isa(shop).lanes)
    return window, [partial(flat, shop, value, own) for value in values], columns * own


def flat(shop: Workshop, value: Value, pitch: int) -> MlirValue:
    return byte_map(shop, value, pitch).value
