"""What each operator of TensorFlow Lite is in the language."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Protocol

from mnetdsl.importers.tflite.flat import FlatOperator
from mnetdsl.importers.tflite.graph import Argument, Constant, Storage
from mnetdsl.ir.ops.window import same_padding
from mnetdsl.ir.types import Shape

FUSED = {0: "none", 1: "relu", 3: "relu6"}
"""`ActivationFunctionType` -> the clamp that a layer carries."""
BESIDE = {2: (-1.0, 1.0)}
"""Clamps without a name in the language, written behind the layer."""
SAME, VALID = 0, 1
MAX_NUMBERS = 16
"""Of a constant operand that the text states."""
UNARY = {
    "RELU": "relu",
    "RELU6": "relu6",
    "HARD_SWISH": "hard_swish",
    "LOGISTIC": "sigmoid",
    "TANH": "tanh",
    "GELU": "gelu",
}
CLAMPS = {"RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}

REMEDIES = {
    "LEAKY_RELU": "train with relu6 or hard_swish",
    "PRELU": "train with relu6 or hard_swish",
    "ELU": "train with silu or hard_swish",
    "TRANSPOSE_CONV": "enlarge the map by RESIZE_BILINEAR and a convolution",
    "SPACE_TO_BATCH_ND": "convert again with a converter that writes dilated convolutions (TensorFlow 2)",
    "BATCH_TO_SPACE_ND": "convert again with a converter that writes dilated convolutions (TensorFlow 2)",
    "CUSTOM": "convert the model without this operator, it belongs behind the network",
    "NON_MAX_SUPPRESSION_V4": "convert the model without it, it belongs behind the network",
    "NON_MAX_SUPPRESSION_V5": "convert the model without it, it belongs behind the network",
    "IF": "convert one branch as a network of its own",
    "WHILE": "convert the body of the loop as a network of its own",
}
"""What can be done about operators that are met often and not imported."""
OTHERWISE = "convert the network without it, or cut it off there: what is in front of it can be imported"


class NotSupportedError(Exception):
    """`why` the operator cannot be imported, and what to do."""

    def __init__(self, why: str, remedy: str = OTHERWISE) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


class Context(Protocol):
    """What a rule sees of the model, and where it puts layers."""

    def shape(self, tensor: int) -> Shape: ...

    def constant(self, tensor: int) -> Constant | None: ...

    def stored(self, tensor: int) -> Storage | None: ...

    def name(self, tensor: int) -> str: ...

    def step(self, shape: Shape, storage: Storage | None) -> int:
        """A value that the file does not show."""
        ...

    def add(
        self,
        operation: str,
        inputs: tuple[int, ...],
        output: int,
        arguments: dict[str, Argument] | None = None,
        *,
        activation: str = "none",
        filter: Constant | None = None,
        bias: Constant | None = None,
        constants: dict[int, Constant] | None = None,
    ) -> None: ...


Rule = Callable[[FlatOperator, Context], None]


def _needed(operator: FlatOperator, context: Context, position: int, what: str) -> Constant:
    number = operator.inputs[position] if position < len(operator.inputs) else -1
    constant = context.constant(number) if number >= 0 else None
    if constant is None:
        raise NotSupportedError(f"its {what} is computed by the network")
    return constant


def _integers(operator: FlatOperator, context: Context, position: int, what: str) -> tuple[int, ...]:
    array = _needed(operator, context, position, what).array
    if array.dtype.kind not in "iu" or array.size > 64:
        raise NotSupportedError(f"its {what} is no list of integers")
    return tuple(int(item) for item in array.reshape(-1))


def _map(operator: FlatOperator, context: Context) -> Shape:
    shape = context.shape(operator.inputs[0])
    if len(shape) != 4:
        raise NotSupportedError(f"its input has {len(shape)} dimensions where a map has 4")
    return shape


def _activated(operator: FlatOperator, context: Context) -> tuple[str, int]:
    """The clamp that the layer carries, and the value that it writes: a step before one that the language puts
    behind it."""
    code = int(operator.options.get("FusedActivationFunction", 0))
    output = operator.outputs[0]
    if code in FUSED:
        return FUSED[code], output
    if code not in BESIDE:
        raise NotSupportedError(f"it carries the activation number {code}", "train with relu, relu6 or hard_swish")
    return "none", context.step(context.shape(output), context.stored(output))


def _beside(operator: FlatOperator, context: Context, written: int) -> None:
    low_high = BESIDE.get(int(operator.options.get("FusedActivationFunction", 0)))
    if low_high is not None:
        context.add("clamp", (written,), operator.outputs[0], {"low": low_high[0], "high": low_high[1]})


def _filter(operator: FlatOperator, context: Context, axes: tuple[int, ...], kept: int) -> Constant:
    """The filter in the language's layout; `kept` is the file's axis of output channels."""
    constant = _needed(operator, context, 1, "filter")
    if constant.array.ndim != len(axes):
        raise NotSupportedError(f"its filter has {constant.array.ndim} dimensions")
    quantization = constant.quantization
    if quantization is not None and len(quantization.scales) > 1 and quantization.axis != kept:
        raise NotSupportedError(f"its filter has scales along dimension {quantization.axis}")
    if constant.element not in ("FLOAT32", "INT8", "UINT8"):
        raise NotSupportedError(f"its filter is {constant.element.lower()}", "convert it with int8 or float weights")
    return Constant(constant.array.transpose(axes), constant.element, quantization, constant.name)


def _bias(operator: FlatOperator, context: Context, channels: int) -> Constant | None:
    if len(operator.inputs) < 3 or operator.inputs[2] < 0:
        return None
    constant = _needed(operator, context, 2, "bias")
    if constant.array.size != channels:
        raise NotSupportedError(f"its bias has {constant.array.size} numbers for {channels} channels")
    return Constant(constant.array.reshape(-1), constant.element, constant.quantization, constant.name)


def _window(
    operator: FlatOperator, size: Shape, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]
) -> tuple[int, ...]:
    """[top, bottom, left, right] of padding SAME or VALID."""
    if min(*kernel, *strides, *dilations) < 1:
        raise NotSupportedError(f"its window is {kernel[0]}x{kernel[1]}, strides {strides}, dilations {dilations}")
    if int(operator.options.get("Padding", SAME)) == VALID:
        return (0, 0, 0, 0)
    return (
        *same_padding(size[1], kernel[0], strides[0], dilations[0]),
        *same_padding(size[2], kernel[1], strides[1], dilations[1]),
    )


def _pair(operator: FlatOperator, height: str, width: str, default: int = 1) -> tuple[int, int]:
    return int(operator.options.get(height, default)), int(operator.options.get(width, default))


def _dilations(operator: FlatOperator, kernel: tuple[int, int]) -> tuple[int, int]:
    """Along an axis on which the filter is one pixel, dilation changes nothing."""
    height, width = _pair(operator, "DilationHFactor", "DilationWFactor")
    return (height if kernel[0] > 1 else 1), (width if kernel[1] > 1 else 1)


def conv2d(operator: FlatOperator, context: Context) -> None:
    size = _map(operator, context)
    filter = _filter(operator, context, (1, 2, 3, 0), 0)
    kernel_height, kernel_width, channels, outputs = filter.array.shape
    if channels != size[3]:
        raise NotSupportedError(
            f"its filter reads {channels} of {size[3]} channels: a convolution in groups",
            "train with one group, or with depthwise convolutions",
        )
    strides = _pair(operator, "StrideH", "StrideW")
    kernel = (kernel_height, kernel_width)
    dilations = _dilations(operator, kernel)
    activation, written = _activated(operator, context)
    context.add(
        "conv2d",
        operator.inputs[:1],
        written,
        {
            "channels": outputs,
            "kernel": kernel,
            "stride": strides,
            "padding": _window(operator, size, kernel, strides, dilations),
            "dilation": dilations,
        },
        activation=activation,
        filter=filter,
        bias=_bias(operator, context, outputs),
    )
    _beside(operator, context, written)


def depthwise_conv2d(operator: FlatOperator, context: Context) -> None:
    size = _map(operator, context)
    filter = _filter(operator, context, (0, 1, 2, 3), 3)
    one, kernel_height, kernel_width, outputs = filter.array.shape
    if one != 1 or size[3] < 1 or outputs % size[3]:
        raise NotSupportedError(f"its filter gives {outputs} channels for {size[3]}")
    multiplier = outputs // size[3]
    array = filter.array.reshape(kernel_height, kernel_width, size[3], multiplier)
    strides = _pair(operator, "StrideH", "StrideW")
    kernel = (kernel_height, kernel_width)
    dilations = _dilations(operator, kernel)
    activation, written = _activated(operator, context)
    context.add(
        "depthwise_conv2d",
        operator.inputs[:1],
        written,
        {
            "kernel": kernel,
            "stride": strides,
            "padding": _window(operator, size, kernel, strides, dilations),
            "dilation": dilations,
            "multiplier": multiplier,
        },
        activation=activation,
        filter=Constant(array, filter.element, filter.quantization, filter.name),
        bias=_bias(operator, context, outputs),
    )
    _beside(operator, context, written)


def fully_connected(operator: FlatOperator, context: Context) -> None:
    if int(operator.options.get("WeightsFormat", 0)) != 0:
        raise NotSupportedError("its weights are shuffled", "convert the model again without that option")
    filter = _filter(operator, context, (1, 0), 0)
    features, outputs = filter.array.shape
    source, shape = operator.inputs[0], context.shape(operator.inputs[0])
    result = context.shape(operator.outputs[0])
    if prod(shape) != features or prod(result) != outputs:
        raise NotSupportedError(f"it has {features} features for {prod(shape)}: it works row by row")
    if shape != (1, features):
        flat = context.step((1, features), context.stored(source))
        context.add("reshape", (source,), flat, {"shape": (features,)})
        source = flat
    activation, written = _activated(operator, context)
    target = written
    if result != (1, outputs):
        target = context.step((1, outputs), context.stored(operator.outputs[0]))
    context.add(
        "dense",
        (source,),
        target,
        {"features": outputs},
        activation=activation,
        filter=filter,
        bias=_bias(operator, context, outputs),
    )
    if target != written:
        context.add("reshape", (target,), written, {"shape": result[1:]})
    _beside(operator, context, written)


def elementwise(operation: str) -> Rule:
    def rule(operator: FlatOperator, context: Context) -> None:
        result = context.shape(operator.outputs[0])
        constants = {}
        for position, number in enumerate(operator.inputs[:2]):
            constant = context.constant(number)
            if constant is not None:
                _check_numbers(constant, result)
                constants[position] = constant
            elif len(context.shape(number)) != len(result):
                raise NotSupportedError("its operands have different numbers of dimensions")
        if len(constants) == 2:
            raise NotSupportedError("both of its operands are constants")
        activation, written = _activated(operator, context)
        inputs = tuple(number for position, number in enumerate(operator.inputs[:2]) if position not in constants)
        context.add(operation, inputs, written, activation=activation, constants=constants)
        _beside(operator, context, written)

    return rule


def _check_numbers(constant: Constant, result: Shape) -> None:
    """One number, or a few, one for each channel: what a person would write into the text."""
    count = constant.array.size
    per_channel = count == result[-1] == constant.array.shape[-1:][0] if constant.array.ndim else False
    if count != 1 and not (per_channel and count <= MAX_NUMBERS):
        sizes = "x".join(map(str, constant.array.shape))
        raise NotSupportedError(
            f"its constant operand has {sizes} numbers, not one, or one for each of at most {MAX_NUMBERS} channels",
            "let the converter fold it into the layer in front of it",
        )


def pool(operation: str) -> Rule:
    def rule(operator: FlatOperator, context: Context) -> None:
        size = _map(operator, context)
        kernel = _pair(operator, "FilterHeight", "FilterWidth")
        strides = _pair(operator, "StrideH", "StrideW")
        padding = _window(operator, size, kernel, strides, (1, 1))
        activation, written = _activated(operator, context)
        inner = written if activation == "none" else context.step(context.shape(written), context.stored(written))
        arguments: dict[str, Argument] = {"kernel": kernel, "stride": strides, "padding": padding}
        context.add(operation, operator.inputs[:1], inner, arguments)
        if activation != "none":
            context.add(activation, (inner,), written)
        _beside(operator, context, written)

    return rule


def mean(operator: FlatOperator, context: Context) -> None:
    size = _map(operator, context)
    axes = sorted(axis % 4 for axis in _integers(operator, context, 1, "list of axes"))
    if axes != [1, 2]:
        raise NotSupportedError(f"it averages the axes {axes}, only height and width are averaged")
    output = operator.outputs[0]
    if context.shape(output) == (1, size[3]):
        context.add("global_avg_pool", operator.inputs[:1], output)
        return
    flat = context.step((1, size[3]), context.stored(output))
    context.add("global_avg_pool", operator.inputs[:1], flat)
    context.add("reshape", (flat,), output, {"shape": context.shape(output)[1:]})


def reshape(operator: FlatOperator, context: Context) -> None:
    shape = context.shape(operator.outputs[0])
    if len(shape) < 2 or shape[0] != 1:
        raise NotSupportedError("it removes the batch")
    context.add("reshape", operator.inputs[:1], operator.outputs[0], {"shape": shape[1:]})


def unary(operation: str) -> Rule:
    def rule(operator: FlatOperator, context: Context) -> None:
        context.add(operation, operator.inputs[:1], operator.outputs[0])

    return rule


def clamp(low: float, high: float) -> Rule:
    def rule(operator: FlatOperator, context: Context) -> None:
        context.add("clamp", operator.inputs[:1], operator.outputs[0], {"low": low, "high": high})

    return rule


def softmax(operator: FlatOperator, context: Context) -> None:
    beta = float(operator.options.get("Beta", 1.0))
    if beta != 1.0:
        raise NotSupportedError(f"it has beta = {beta}", "scale the logits in the layer before it")
    context.add("softmax", operator.inputs[:1], operator.outputs[0])


def pad(operator: FlatOperator, context: Context) -> None:
    _map(operator, context)
    numbers = _integers(operator, context, 1, "padding")
    if len(numbers) != 8 or any(numbers[:2]) or any(numbers[6:]) or min(numbers) < 0:
        raise NotSupportedError(f"it pads {list(numbers)}, only height and width are padded")
    arguments: dict[str, Argument] = {"padding": numbers[2:6]}
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        value = float(_needed(operator, context, 2, "border").real().reshape(-1)[0])
        if value != 0.0:
            arguments["value"] = value
    context.add("pad", operator.inputs[:1], operator.outputs[0], arguments)


def concatenation(operator: FlatOperator, context: Context) -> None:
    rank = len(context.shape(operator.outputs[0]))
    axis = int(operator.options.get("Axis", 0))
    axis = axis + rank if axis < 0 else axis
    if not 1 <= axis < rank:
        raise NotSupportedError("it joins along the batch")
    constants = {place: found for place, n in enumerate(operator.inputs) if (found := context.constant(n)) is not None}
    if constants:
        raise NotSupportedError("one of its operands is a constant")
    activation, written = _activated(operator, context)
    inner = written if activation == "none" else context.step(context.shape(written), context.stored(written))
    context.add("concat", operator.inputs, inner, {"axis": axis - rank})
    if activation != "none":
        context.add(activation, (inner,), written)
    _beside(operator, context, written)


def resize(method: str) -> Rule:
    def rule(operator: FlatOperator, context: Context) -> None:
        _map(operator, context)
        _, height, width, _ = context.shape(operator.outputs[0])
        align, half = bool(operator.options.get("AlignCorners")), bool(operator.options.get("HalfPixelCenters"))
        context.add(
            "resize",
            operator.inputs[:1],
            operator.outputs[0],
            {"size": (height, width), "method": method, "align_corners": align, "half_pixel_centers": half},
        )

    return rule


def argmax(operator: FlatOperator, context: Context) -> None:
    rank = len(context.shape(operator.inputs[0]))
    axes = [axis % rank for axis in _integers(operator, context, 1, "axis")]
    if axes != [rank - 1]:
        raise NotSupportedError(f"it looks along axis {axes}, only the last one is searched")
    context.add("argmax", operator.inputs[:1], operator.outputs[0])


def transpose(operator: FlatOperator, context: Context) -> None:
    order = _integers(operator, context, 1, "order of axes")
    if sorted(order) != list(range(len(context.shape(operator.inputs[0])))) or order[0] != 0:
        raise NotSupportedError("it moves the batch")
    context.add("transpose", operator.inputs[:1], operator.outputs[0], {"order": tuple(axis - 1 for axis in order[1:])})


def strided_slice(operator: FlatOperator, context: Context) -> None:
    masks = [int(operator.options.get(name, 0)) for name in ("EllipsisMask", "NewAxisMask", "ShrinkAxisMask")]
    begin, end, steps = (
        list(_integers(operator, context, place, what)) for place, what in ((1, "begin"), (2, "end"), (3, "steps"))
    )
    shape = context.shape(operator.inputs[0])
    if any(masks) or any(step != 1 for step in steps) or not len(begin) == len(end) == len(shape):
        raise NotSupportedError("it skips or removes pixels")
    for axis, size in enumerate(shape):
        skipped = int(operator.options.get("BeginMask", 0)) >> axis & 1
        begin[axis] = 0 if skipped else begin[axis] + size if begin[axis] < 0 else begin[axis]
        skipped = int(operator.options.get("EndMask", 0)) >> axis & 1
        end[axis] = size if skipped else end[axis] + size if end[axis] < 0 else min(end[axis], size)
    _slice(operator, context, begin, [stop - start for start, stop in zip(begin, end, strict=True)])


def slice_(operator: FlatOperator, context: Context) -> None:
    begin = list(_integers(operator, context, 1, "begin"))
    size = list(_integers(operator, context, 2, "size"))
    shape = context.shape(operator.inputs[0])
    if not len(begin) == len(size) == len(shape):
        raise NotSupportedError("its begin and size do not fit its input")
    size = [whole - start if n == -1 else n for n, start, whole in zip(size, begin, shape, strict=True)]
    _slice(operator, context, begin, size)


def _slice(operator: FlatOperator, context: Context, begin: list[int], size: list[int]) -> None:
    if tuple(size) != context.shape(operator.outputs[0]) or begin[0] != 0 or min(begin) < 0 or size[0] != 1:
        raise NotSupportedError("what it selects does not fit its result")
    context.add(
        "slice",
        operator.inputs[:1],
        operator.outputs[0],
        {"begin": tuple(begin[1:]), "size": tuple(size[1:])},
    )


RULES: dict[str, Rule] = {
    "CONV_2D": conv2d,
    "DEPTHWISE_CONV_2D": depthwise_conv2d,
    "FULLY_CONNECTED": fully_connected,
    "ADD": elementwise("add"),
    "SUB": elementwise("sub"),
    "MUL": elementwise("mul"),
    "AVERAGE_POOL_2D": pool("avg_pool"),
    "MAX_POOL_2D": pool("max_pool"),
    "MEAN": mean,
    "RESHAPE": reshape,
    "SQUEEZE": reshape,
    "EXPAND_DIMS": reshape,
    **{code: unary(operation) for code, operation in UNARY.items()},
    **{code: clamp(*bounds) for code, bounds in CLAMPS.items()},
    "SOFTMAX": softmax,
    "PAD": pad,
    "PADV2": pad,
    "CONCATENATION": concatenation,
    "RESIZE_BILINEAR": resize("bilinear"),
    "RESIZE_NEAREST_NEIGHBOR": resize("nearest"),
    "ARG_MAX": argmax,
    "TRANSPOSE": transpose,
    "STRIDED_SLICE": strided_slice,
    "SLICE": slice_,
}
