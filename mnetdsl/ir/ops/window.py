"""Output sizes of operations that slide a window over height and width (no operation of its own)."""

from __future__ import annotations

from mnetdsl.ir.core import ShapeError

Padding = tuple[int, int, int, int]
"""Top, bottom, left, right."""


def window_output(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """Number of window positions along one axis; below 1 where the window does not fit."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's SAME: output ceil(size / stride), the odd pixel behind (tf.nn, "Notes on padding")."""
    output = -(-size // stride)
    total = max((output - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def window_shape(
    opcode: str,
    size: tuple[int, int],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    padding: tuple[int, ...],
) -> tuple[int, int]:
    """Output height and width; raises `ShapeError` where the window is larger than the padded map."""
    top, bottom, left, right = padding
    height = window_output(size[0], kernel[0], strides[0], dilations[0], top, bottom)
    width = window_output(size[1], kernel[1], strides[1], dilations[1], left, right)
    if height < 1 or width < 1:
        reach = [(size - 1) * dilation + 1 for size, dilation in zip(kernel, dilations, strict=True)]
        dilated = f", dilated from {kernel[0]}x{kernel[1]}," if max(dilations) > 1 else ""
        raise ShapeError(
            f"`{opcode}` slides a {reach[0]}x{reach[1]} window{dilated} over a map of only "
            f"{size[0] + top + bottom}x{size[1] + left + right} (padding included)",
            "input",
        )
    return height, width
