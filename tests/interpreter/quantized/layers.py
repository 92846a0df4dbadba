"""Operations on stored integers by the interpreter and by TensorFlow Lite's reference kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.interpreter import evaluate_op
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, Quantization, Storage, TensorType
from mnetdsl.numerics.grid import Grid
from tests.numerics.references import on
from tests.tflite_models import ACTIVATIONS, SAME, VALID, Tensor, run_single

Array = NDArray[Any]
WEIGHTS = ("filter", "bias", "filter_scale", "filter_zero_point", "table")


def element(dtype: str) -> ElementType:
    return next(found for found in ElementType if found.dtype == dtype)


def storage(grid: Grid) -> Storage:
    return Storage(element(grid.dtype), Quantization.per_tensor(grid.scale, grid.zero_point))


def stored(array: Array, grid: Grid | None, name: str = "") -> Value:
    """A value that holds `array`; all but weights have a batch, written as 1."""
    shape = array.shape if name in WEIGHTS else (1, *array.shape[1:])
    type = TensorType(shape, element(array.dtype.name))
    return Value(type if grid is None else type.stored_as(storage(grid)))


def evaluate(
    opcode: str, operands: Mapping[str, tuple[Array, Grid | None]], result: Grid | None, **attributes: Any
) -> Array:
    """The interpreter's result; operands are arrays with their grids, None where they have none."""
    values = {name: stored(array, grid, name) for name, (array, grid) in operands.items()}
    op = OPERATIONS[opcode](values, attributes, storage=None if result is None else storage(result))
    ordered = [operands[d.name][0] for d in op.operand_defs if d.name in operands]
    return evaluate_op(op, ordered, {})


def evaluate_many(
    opcode: str, inputs: Sequence[tuple[Array, Grid | None]], result: Grid | None, **attributes: Any
) -> Array:
    """As `evaluate`, of an operation whose operand `inputs` is a list."""
    values = [stored(array, grid) for array, grid in inputs]
    op = OPERATIONS[opcode]({"inputs": values}, attributes, storage=None if result is None else storage(result))
    return evaluate_op(op, [array for array, _ in inputs], {})


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    reach = dilation * (kernel - 1) + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def paddings(
    shape: tuple[int, ...], kernel: tuple[int, ...], strides: tuple[int, int], dilations: tuple[int, int], padding: int
) -> tuple[int, ...]:
    """[top, bottom, left, right] of TensorFlow Lite's SAME or VALID."""
    if padding == VALID:
        return (0, 0, 0, 0)
    return (
        *same_padding(shape[1], kernel[0], strides[0], dilations[0]),
        *same_padding(shape[2], kernel[1], strides[1], dilations[1]),
    )


class Layer:
    """A random convolution: stored weights in the language's layout, and what it is in TensorFlow Lite."""

    def __init__(
        self,
        rng: np.random.Generator,
        source: Grid,
        shape: tuple[int, ...],
        *,
        depthwise: bool = False,
        scales: int = 1,
        bias: bool = True,
        activation: str = "none",
    ) -> None:
        """shape: that of the filter in the language. `scales`: one, or one for each output channel."""
        self.source, self.depthwise, self.activation = source, depthwise, activation
        unsigned = source.dtype == "uint8"
        outputs = shape[2] * shape[3] if depthwise else shape[-1]
        low, high = (0, 256) if unsigned else (-127, 128)
        self.filter = rng.integers(low, high, shape).astype("uint8" if unsigned else "int8")
        self.zero_point = int(rng.integers(90, 166)) if unsigned else None
        taps = self.filter.astype(np.int64) - (self.zero_point or 0)
        fan_in = taps.size // outputs
        spread = 60.0 * np.sqrt(fan_in) * (source.high - source.low) / 4
        self.scales = rng.uniform(0.2, 2.0, scales).astype(np.float32) * np.float32(0.01)
        limit = int(spread)
        kind = np.int64 if source.dtype == "int16" else np.int32
        self.bias = rng.integers(-limit, limit, outputs).astype(kind) if bias else None
        quarter = (32767 if source.dtype == "int16" else 64) * rng.uniform(0.5, 2.0)
        scale = float(source.scale * self.scales.mean() * spread / quarter)
        zero_point = 0 if source.dtype == "int16" else int(rng.integers(source.low, source.high + 1))
        self.result = Grid(source.dtype, scale, zero_point)

    def operands(self, x: Array) -> dict[str, tuple[Array, Grid | None]]:
        given: dict[str, tuple[Array, Grid | None]] = {"input": (x, self.source), "filter": (self.filter, None)}
        if self.bias is not None:
            given["bias"] = (self.bias, None)
        given["filter_scale"] = (self.scales, None)
        if self.zero_point is not None:
            given["filter_zero_point"] = (np.array([self.zero_point], np.uint8), None)
        return given

    def tensors(self, x: Array) -> list[Tensor]:
        if self.depthwise:
            filter, axis = self.filter.reshape(1, *self.filter.shape[:2], -1), 3
        elif self.filter.ndim == 4:
            filter, axis = self.filter.transpose(3, 0, 1, 2), 0
        else:
            filter, axis = self.filter.T, 0
        scales = self.scales.tolist()
        weights = Tensor.constant(filter, scales, [self.zero_point or 0] * len(scales), axis)
        made = [on(self.source, x.shape), weights]
        if self.bias is None and not self.depthwise and self.filter.ndim == 4:
            kind = np.int64 if self.source.dtype == "int16" else np.int32
            scales = [float(np.float32(self.source.scale) * s) for s in self.scales]
            made.append(Tensor.constant(np.zeros(self.filter.shape[3], kind), scales))  # CONV_2D must have one
        if self.bias is not None:
            # Multiplied in float32, as the reference checks it.
            made.append(Tensor.constant(self.bias, [float(np.float32(self.source.scale) * s) for s in self.scales]))
        return made

    def convolved(
        self, x: Array, strides: tuple[int, int], dilations: tuple[int, int], padding: int
    ) -> tuple[Array, Array]:
        """By the interpreter, and by the reference."""
        kernel = self.filter.shape[:2]
        attributes = {
            "strides": strides,
            "dilations": dilations,
            "padding": paddings(x.shape, kernel, strides, dilations, padding),
            "activation": self.activation,
        }
        ours = evaluate("depthwise_conv2d" if self.depthwise else "conv2d", self.operands(x), self.result, **attributes)
        options = {
            "strideH": strides[0],
            "strideW": strides[1],
            "dilationHFactor": dilations[0],
            "dilationWFactor": dilations[1],
            "padding": padding,
            "fusedActivationFunction": ACTIVATIONS[self.activation],
        }
        if self.depthwise:
            options["depthMultiplier"] = self.filter.shape[3]
        code, kind = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if self.depthwise else ("CONV_2D", "Conv2DOptions")
        return ours, run_single(code, self.tensors(x), [x], on(self.result, ours.shape), kind, options)


PADDINGS = (SAME, VALID)
