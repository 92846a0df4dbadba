"""Small graphs for every operation on stored integers: `CASES` maps a name to what builds its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mnetdsl.ir.core import OperandArgument, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, Quantization, Storage, TensorType
from tests.graphs import GraphMaker

I8 = Storage(ElementType.I8, Quantization.per_tensor(0.05, -3))
U8 = Storage(ElementType.U8, Quantization.per_tensor(0.05, 120))
I16 = Storage(ElementType.I16, Quantization.per_tensor(0.001, 0))


def storage(element: ElementType, scale: float, zero_point: int = 0) -> Storage:
    return Storage(element, Quantization.per_tensor(scale, zero_point))


class QuantizedMaker(GraphMaker):
    """Makes inputs, weights and layers on stored integers, named by number."""

    def fresh(self, stored: Storage | None, *shape: int) -> Value:
        name = f"in{len(self.module.graph.inputs)}"
        return self.builder.input(name, TensorType((1, *shape)).stored_as(stored)).value

    def op(
        self,
        opcode: str,
        operands: Mapping[str, OperandArgument],
        stored: Storage | None = None,
        **attributes: AttributeValue,
    ) -> Value:
        count = len(self.module.graph.operations)
        place = Location(f"{opcode}_{count}", "cases.mnet", count + 1, 3)
        op = OPERATIONS[opcode](operands, attributes, place, storage=stored)
        self.module.graph.operations.append(op)
        return op.result

    def held(self, array: np.ndarray, stored: Storage | None = None) -> Value:
        """A constant; an activation-like one with its quantization."""
        name = f"w{len(self.module.resources)}"
        self.module.resources[name] = array
        element = next(each for each in ElementType if each.dtype == array.dtype.name)
        place = Location(name, "cases.mnet", len(self.module.graph.operations) + 1, 3)
        op = OPERATIONS["constant"](
            {}, {"resource": name, "shape": array.shape, "element": element.value}, place, storage=stored
        )
        self.module.graph.operations.append(op)
        return op.result

    def layer(
        self,
        opcode: str,
        source: Value,
        filter: tuple[int, ...],
        stored: Storage,
        *,
        scales: int = 0,
        plain: bool = False,
        **attributes: AttributeValue,
    ) -> Value:
        """A layer with random weights; results reach both ends of their grid. `scales` is the number of filter scales,
        0 for one a channel, of which one then is so large that sums are shifted left, unless `plain`."""
        outputs = filter[2] * filter[3] if opcode == "depthwise_conv2d" else filter[-1]
        unsigned = source.type.element is ElementType.U8
        weights = self.random.integers(-127, 128, filter)
        quantization, result = source.type.quantization, stored.quantization
        assert quantization is not None
        assert result is not None
        taps = int(np.prod(filter)) // outputs
        wide = source.type.element is ElementType.I16
        spread = np.sqrt(taps) * 73.0 * (8000.0 if wide else 70.0)
        target = result.scale[0] * (20000.0 if stored.element is ElementType.I16 else 90.0)
        middle = target / (spread * quantization.scale[0])
        count = scales or outputs
        filter_scales = (middle * self.random.uniform(0.5, 1.5, count)).astype(np.float32)
        if count > 2 and not plain:
            filter_scales[1] = 3.0 * result.scale[0] / quantization.scale[0]
            filter_scales[2] = 0.0
        operands: dict[str, OperandArgument] = {
            "input": source,
            "filter": self.held((weights + 127).astype(np.uint8) if unsigned else weights.astype(np.int8)),
            "bias": self.held(self.random.integers(-spread, spread, outputs).astype(np.int64 if wide else np.int32)),
            "filter_scale": self.held(filter_scales),
        }
        if unsigned:
            operands["filter_zero_point"] = self.held(np.array([131], np.uint8))
        return self.op(opcode, operands, stored, **attributes)


Case = Callable[[QuantizedMaker], Value]


def filtered(
    opcode: str,
    source: Storage,
    shape: tuple[int, ...],
    filter: tuple[int, ...],
    stored: Storage,
    scales: int = 0,
    **attributes: Any,
) -> Case:
    return lambda m: m.layer(opcode, m.fresh(source, *shape), filter, stored, scales=scales, **attributes)


def binary(
    opcode: str,
    left: Storage,
    right: Storage,
    result: Storage,
    second: tuple[int, ...] = (4, 5, 3),
    **attributes: AttributeValue,
) -> Case:
    return lambda m: m.op(
        opcode, {"left": m.fresh(left, 4, 5, 3), "right": m.fresh(right, *second)}, result, **attributes
    )


def unary(
    opcode: str,
    source: Storage | None,
    result: Storage | None,
    map: tuple[int, ...] = (4, 5, 3),
    **attributes: AttributeValue,
) -> Case:
    return lambda m: m.op(opcode, {"input": m.fresh(source, *map)}, result, **attributes)


def looked_up(source: Storage, table: tuple[int, ...], result: Storage) -> Case:
    limits = np.iinfo(result.element.dtype)

    def build(m: QuantizedMaker) -> Value:
        entries = m.random.integers(limits.min, limits.max, table, result.element.dtype, endpoint=True)
        return m.op("lookup", {"input": m.fresh(source, 4, 5, 3), "table": m.held(entries)}, result)

    return build


def constant_operand(m: QuantizedMaker) -> Value:
    right = m.held(m.random.integers(-128, 128, (1, 1, 1, 3)).astype(np.int8), I8)
    return m.op("add", {"left": m.fresh(I8, 4, 5, 3), "right": right}, I8)


def joined(*storages: Storage, result: Storage) -> Case:
    return lambda m: m.op("concat", {"inputs": [m.fresh(each, 3, 4, 5) for each in storages]}, result, axis=3)


FINER = {
    "i8": storage(ElementType.I8, 0.07, 11),
    "u8": storage(ElementType.U8, 0.07, 131),
    "i16": storage(ElementType.I16, 0.0013),
}


def of_element(name: str, stored: Storage) -> dict[str, Case]:
    """Cases of all operations on tensors stored alike."""
    other = FINER[name]
    low = 0 if stored.element is ElementType.U8 else -128
    dense_scales = 1 if name == "u8" else 0
    cases: dict[str, Case] = {
        "pointwise": filtered("conv2d", stored, (5, 6, 9), (1, 1, 9, 20), other, dense_scales, activation="relu"),
        "convolution": filtered(
            "conv2d", stored, (7, 6, 3), (3, 3, 3, 5), other, dense_scales, strides=(2, 1), padding=(1, 1, 0, 2)
        ),
        "dilated": filtered(
            "conv2d",
            stored,
            (7, 6, 3),
            (3, 3, 3, 4),
            other,
            dense_scales,
            dilations=(2, 2),
            padding=(2, 2, 2, 2),
            activation="relu6",
        ),
        "depthwise": filtered(
            "depthwise_conv2d", stored, (7, 6, 9), (3, 3, 9, 1), other, dense_scales, padding=(1, 1, 1, 1)
        ),
        "depthwise with two kernels": filtered(
            "depthwise_conv2d",
            stored,
            (7, 6, 3),
            (3, 3, 3, 2),
            other,
            dense_scales,
            strides=(2, 2),
            padding=(0, 1, 0, 1),
        ),
        "dense": filtered("dense", stored, (30,), (30, 7), other, 1),
        "dense per channel": filtered("dense", stored, (30,), (30, 7), other, dense_scales, activation="relu6"),
        "add": binary("add", stored, other, stored, activation="relu"),
        "add of channels": binary("add", stored, other, other, (1, 1, 3)),
        "sub": binary("sub", stored, other, other),
        "mul": binary("mul", stored, other, stored),
        "mul with gates": binary("mul", stored, other, stored, (1, 1, 3), activation="relu6"),
        "relu6": unary("relu6", stored, other),
        "clamp": unary("clamp", stored, other, low=-1.0, high=3.0),
        "sigmoid": unary("sigmoid", stored, other),
        "hard_swish": unary("hard_swish", stored, other),
        "avg_pool": unary("avg_pool", stored, None, (7, 6, 3), kernel=(3, 3), strides=(2, 2), padding=(1, 1, 1, 1)),
        "max_pool": unary("max_pool", stored, None, (7, 6, 3), kernel=(3, 3), strides=(2, 1), padding=(1, 1, 1, 0)),
        "global_avg_pool": unary("global_avg_pool", stored, other, (7, 7, 9)),
        "pad": unary("pad", stored, None, padding=(1, 0, 2, 1)),
        "pad with a number": unary("pad", stored, None, padding=(1, 0, 0, 1), value=1.5),
        "concat": joined(stored, other, result=other),
        "reshape": unary("reshape", stored, None, shape=(1, 60)),
        "transpose": unary("transpose", stored, None, order=(2, 0, 1)),
        "slice": unary("slice", stored, None, begin=(1, 0, 1), size=(2, 5, 2)),
        "resize": unary("resize", stored, None, (5, 7, 3), size=(9, 12), half_pixel_centers=True),
        "resize to the corners": unary("resize", stored, None, (5, 7, 3), size=(9, 12), align_corners=True),
        "resize, smaller": unary("resize", stored, None, (5, 7, 3), size=(3, 4)),
        "nearest": unary("resize", stored, None, (5, 7, 3), size=(9, 12), method="nearest"),
        "argmax": unary("argmax", stored, None, (4, 5, 21)),
        "quantize": unary("quantize", None, stored),
        "dequantize": unary("dequantize", stored, None),
        "requantize": unary("requantize", stored, other),
        "requantize to i8": unary("requantize", stored, I8),
    }
    if name == "i16":
        cases["lookup"] = looked_up(stored, (513,), other)
    else:
        cases["lookup"] = looked_up(stored, (256,), other)
        cases["lookup by channel"] = looked_up(stored, (3, 256), other)
        cases["softmax"] = unary("softmax", stored, storage(stored.element, 1 / 256, low), (3, 11))
        cases["softmax on another grid"] = unary("softmax", stored, other, (21,))
    return {f"{name}: {case}": build for case, build in cases.items()}


CASES: dict[str, Case] = {
    **of_element("i8", I8),
    **of_element("u8", U8),
    **of_element("i16", I16),
    "i8: a constant operand": constant_operand,
    "i8 to i16: pointwise": filtered("conv2d", I8, (4, 4, 8), (1, 1, 8, 4), I16),
    "i16 to i8: pointwise": filtered("conv2d", I16, (4, 4, 8), (1, 1, 8, 4), I8),
}
SUMS_IN_64_BITS = frozenset(
    name
    for name in CASES
    if name.startswith("i16")
    and any(word in name for word in ("pointwise", "convolution", "dilated", "depthwise", "dense", "resize"))
)
"""What a target without 64-bit integers refuses."""
