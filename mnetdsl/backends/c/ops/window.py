"""What kernels that slide a window share: the struct of sizes, and how close output and input may lie."""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.backends.c.emitter import Emitter
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.pool import Pool
from mnetdsl.ir.types import Shape, TensorType
from mnetdsl.plan.sweep import Axis, Sweep, window_sweep
from mnetdsl.plan.tasks import Clearance

PANEL = 16
"""Output channels summed at a time: four vector registers, and few enough for a core with 32 of one float each."""
FLOAT = 4


@dataclass(frozen=True)
class Window:
    """Shapes [1, H, W, C] of input and output and the window between them."""

    input: Shape
    output: Shape
    kernel: tuple[int, ...]
    strides: tuple[int, ...] = (1, 1)
    dilations: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0, 0, 0)
    input_width: int = FLOAT
    """Bytes of an element of the input."""
    output_width: int = FLOAT

    @property
    def rows(self) -> Axis:
        return self._axis(0, self.padding[0])

    @property
    def columns(self) -> Axis:
        return self._axis(1, self.padding[2])

    def _axis(self, axis: int, before: int) -> Axis:
        return Axis(
            self.input[1 + axis],
            self.output[1 + axis],
            self.kernel[axis],
            self.strides[axis],
            self.dilations[axis],
            before,
        )

    def sweep(self, tail: int) -> Sweep:
        """Pixel by pixel; `tail` bytes of each are written after its last read."""
        read, written = self.input[3] * self.input_width, self.output[3] * self.output_width
        return window_sweep(self.rows, self.columns, read, written, tail)

    def table(self, emitter: Emitter) -> str:
        """C text of the address of the struct `window`; the input buffer holds all rows of the map."""
        return emitter.shape(
            "window",
            *self.input[1:4],
            self.input[1],
            *self.output[2:4],
            *self.kernel,
            *self.strides,
            *self.dilations,
            self.padding[0],
            self.padding[2],
        )

    @property
    def kind(self) -> str:
        """`3x3`, `3x3 stride 2`, for titles."""
        text = "x".join(map(str, self.kernel))
        if any(stride != 1 for stride in self.strides):
            text += f" stride {_joined(self.strides)}"
        if any(dilation != 1 for dilation in self.dilations):
            text += f" dilation {_joined(self.dilations)}"
        return text


def _joined(pair: tuple[int, ...]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def window_of(op: Conv2d | DepthwiseConv2d | Pool) -> Window:
    """Of an operation that slides one, on real numbers or stored ones."""
    return Window(
        op.input.type.shape,
        op.type.shape,
        op.kernel if isinstance(op, Pool) else op.filter.type.shape[:2],
        op.strides,
        (1, 1) if isinstance(op, Pool) else op.dilations,
        op.padding,
        op.input.type.element.byte_width,
        op.type.element.byte_width,
    )


def forward(sweep: Sweep, read: TensorType) -> Clearance:
    """A forward sweep: the output far enough below the input, or all above it."""
    return Clearance(above=read.byte_size, below=sweep.forward())


def backward(sweep: Sweep, read: TensorType, written: TensorType) -> Clearance:
    """A backward sweep: the output far enough above the input, or all below it."""
    return Clearance(above=sweep.backward(), below=written.byte_size)


def last_panel(channels: int, width: int = FLOAT) -> int:
    """Bytes of a pixel that are written once nothing of it is read any more: the last panel of channels, each element
    of `width` bytes."""
    return ((channels - 1) % PANEL + 1) * width
