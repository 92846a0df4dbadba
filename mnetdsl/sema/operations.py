"""Operations as the language offers them: parameters, and how a call becomes an operation of the IR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from mnetdsl.diagnostics import error
from mnetdsl.ir.core import Value as IrValue
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.ops.window import same_padding
from mnetdsl.ir.types import Shape, TensorType
from mnetdsl.sema.layers import Layers
from mnetdsl.sema.pairs import pair
from mnetdsl.sema.report import Reported
from mnetdsl.sema.signatures import BoundArgument, Parameter
from mnetdsl.sema.values import Symbol, Tensor, describe, literal
from mnetdsl.source import Span

Weights = dict[str, tuple[str, Shape]]
"""Operand -> key of the weight file and shape."""

SAME = Symbol("same")
VALID = Symbol("valid")
METHODS = (Symbol("bilinear"), Symbol("nearest"))


@dataclass(frozen=True)
class Call:
    """A call of an operation with its bound arguments."""

    layers: Layers
    label: str | None
    span: Span
    arguments: dict[str, BoundArgument]

    def tensor(self, name: str) -> IrValue:
        value = self.arguments[name].value
        assert isinstance(value, Tensor)
        return value.value

    def type(self, name: str, rank: int | None = None) -> TensorType:
        """Type of a tensor argument; reports another rank than `rank`."""
        found = self.tensor(name).type
        if rank is not None and found.rank != rank:
            raise self.problem(
                "MN0402",
                name,
                f"a tensor of {rank - 1} dimensions ({_RANK_HELP[rank]}) is needed here, got {found}",
                f"this has {found.rank - 1} dimensions",
                "`global_avg_pool` or `flatten` turn a map into features" if rank == 2 else "",
            )
        return found

    def integer(self, name: str, minimum: int = 1) -> int:
        value = self.arguments[name].value
        assert isinstance(value, int)
        if value < minimum:
            raise self.problem("MN0310", name, f"`{name}` must be at least {minimum}, got {value}")
        return value

    def number(self, name: str) -> float:
        value = self.arguments[name].value
        assert isinstance(value, int | float)
        return float(value)

    def boolean(self, name: str) -> bool:
        return bool(self.arguments[name].value)

    def pair(self, name: str, minimum: int = 1) -> tuple[int, int]:
        """An int for both axes, or a list [height, width]."""
        first, second = self.integers(name, 2, minimum)
        return first, second

    def integers(self, name: str, count: int | None, minimum: int) -> tuple[int, ...]:
        """A list of `count` ints, or one int for all of them."""
        value = self.arguments[name].value
        items = (value,) * count if isinstance(value, int) and count is not None else value
        if (
            not isinstance(items, tuple)
            or not all(type(item) is int for item in items)
            or (count is not None and len(items) != count)
        ):
            wanted = "a list of ints" if count is None else f"an int or a list of {count} ints"
            raise self.problem("MN0301", name, f"`{name}` must be {wanted}, got {describe(value)}")
        numbers = tuple(item for item in items if isinstance(item, int))
        if any(item < minimum for item in numbers):
            raise self.problem("MN0310", name, f"`{name}` must be at least {minimum}, got {literal(value)}")
        return numbers

    def problem(self, code: str, argument: str, message: str, label: str = "", help: str = "") -> Reported:
        span = self.arguments[argument].span
        return self.layers.report.stop(error(code, message, at=span, label=label, help=help))

    def blame(self, **operands: str) -> dict[str, Span]:
        """Spans of the arguments that operands of the IR come from."""
        return {operand: self.arguments[argument].span for operand, argument in operands.items()}

    def padding(self, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]) -> tuple[int, ...]:
        """[top, bottom, left, right] of `padding`: same, valid, symmetric, an int or a list of four."""
        value = self.arguments["padding"].value
        _, height, width, _ = self.type("x", 4).shape
        if isinstance(value, Symbol):
            if value == VALID:
                return (0, 0, 0, 0)
            if value == SAME:
                return (
                    *same_padding(height, kernel[0], strides[0], dilations[0]),
                    *same_padding(width, kernel[1], strides[1], dilations[1]),
                )
            if value.text == "symmetric":
                rows, columns = ((k - 1) * d // 2 for k, d in zip(kernel, dilations, strict=True))
                return (rows, rows, columns, columns)
            raise self.problem(
                "MN0310",
                "padding",
                f"`padding` must be same, valid, symmetric, an int or a list of four ints, got {value.text}",
            )
        return self.integers("padding", 4, 0)


_RANK_HELP = {2: "features", 3: "rows, columns", 4: "height, width, channels"}

X = Parameter("x", ("tensor",))
SIDE = ("tensor", "float", "list")
PADDING = ("symbol", "int", "list")
PAIR = ("int", "list")


@dataclass(frozen=True)
class Operation:
    """An operation of the language: `build` lowers a call."""

    parameters: tuple[Parameter, ...]
    build: Callable[[Call], Tensor]


def _conv2d(call: Call) -> Tensor:
    channels = call.type("x", 4).shape[3]
    outputs = call.integer("channels")
    kernel, strides, dilations = call.pair("kernel"), call.pair("stride"), call.pair("dilation")
    padding = call.padding(kernel, strides, dilations)
    weights: Weights = {"filter": ("weight", (*kernel, channels, outputs))}
    if call.boolean("bias"):
        weights["bias"] = ("bias", (outputs,))
    return call.layers.add_with_weights(
        "conv2d",
        call.label,
        call.span,
        {"input": call.tensor("x")},
        weights,
        {"strides": strides, "padding": padding, "dilations": dilations},
    )


def _depthwise_conv2d(call: Call) -> Tensor:
    channels = call.type("x", 4).shape[3]
    multiplier = call.integer("multiplier")
    kernel, strides, dilations = call.pair("kernel"), call.pair("stride"), call.pair("dilation")
    padding = call.padding(kernel, strides, dilations)
    weights: Weights = {"filter": ("weight", (*kernel, channels, multiplier))}
    if call.boolean("bias"):
        weights["bias"] = ("bias", (channels * multiplier,))
    return call.layers.add_with_weights(
        "depthwise_conv2d",
        call.label,
        call.span,
        {"input": call.tensor("x")},
        weights,
        {"strides": strides, "padding": padding, "dilations": dilations},
    )


def _dense(call: Call) -> Tensor:
    features = call.type("x", 2).shape[1]
    outputs = call.integer("features")
    weights: Weights = {"filter": ("weight", (features, outputs))}
    if call.boolean("bias"):
        weights["bias"] = ("bias", (outputs,))
    return call.layers.add_with_weights("dense", call.label, call.span, {"input": call.tensor("x")}, weights)


def _batch_norm(call: Call) -> Tensor:
    shape = (call.type("x").shape[-1],)
    epsilon = call.number("epsilon")
    if not epsilon > 0:
        raise call.problem("MN0310", "epsilon", f"`epsilon` must be above 0, got {epsilon}")
    return call.layers.add_with_weights(
        "batch_norm",
        call.label,
        call.span,
        {"input": call.tensor("x")},
        {
            "scale": ("weight", shape),
            "offset": ("bias", shape),
            "mean": ("running_mean", shape),
            "variance": ("running_var", shape),
        },
        {"epsilon": epsilon},
    )


def _layer_norm(call: Call) -> Tensor:
    shape = (call.type("x").shape[-1],)
    epsilon = call.number("epsilon")
    if not epsilon > 0:
        raise call.problem("MN0310", "epsilon", f"`epsilon` must be above 0, got {epsilon}")
    return call.layers.add_with_weights(
        "layer_norm",
        call.label,
        call.span,
        {"input": call.tensor("x")},
        {"scale": ("weight", shape), "offset": ("bias", shape)},
        {"epsilon": epsilon},
    )


def _binary(opcode: str) -> Operation:
    def build(call: Call) -> Tensor:
        sides = {"left": call.arguments["a"].value, "right": call.arguments["b"].value}
        return pair(call.layers, opcode, call.label, call.span, sides, call.blame(left="a", right="b"))

    return Operation((Parameter("a", SIDE), Parameter("b", SIDE)), build)


def _unary(opcode: str) -> Operation:
    def build(call: Call) -> Tensor:
        return call.layers.add(opcode, call.label, call.span, {"input": call.tensor("x")})

    return Operation((X,), build)


def _clamp(call: Call) -> Tensor:
    return call.layers.add(
        "clamp",
        call.label,
        call.span,
        {"input": call.tensor("x")},
        {"low": call.number("low"), "high": call.number("high")},
        call.blame(low="low"),
    )


def _pool(opcode: str) -> Operation:
    def build(call: Call) -> Tensor:
        kernel = call.pair("kernel")
        stride = call.arguments["stride"].value
        strides = kernel if stride == 0 else call.pair("stride")
        attributes = {"kernel": kernel, "strides": strides, "padding": call.padding(kernel, strides, (1, 1))}
        return call.layers.add(opcode, call.label, call.span, {"input": call.tensor("x")}, dict(attributes))

    return Operation(
        (X, Parameter("kernel", PAIR), Parameter("stride", PAIR, 0), Parameter("padding", PADDING, VALID)), build
    )


def _pad(call: Call) -> Tensor:
    call.type("x", 4)
    return call.layers.add(
        "pad",
        call.label,
        call.span,
        {"input": call.tensor("x")},
        {"padding": call.integers("padding", 4, 0), "value": call.number("value")},
    )


def _concat(call: Call) -> Tensor:
    items = call.arguments["tensors"].value
    if not isinstance(items, tuple) or not items or not all(isinstance(item, Tensor) for item in items):
        raise call.problem("MN0301", "tensors", f"`concat` needs a list of tensors, got {describe(items)}")
    tensors = [item.value for item in items if isinstance(item, Tensor)]
    rank = tensors[0].type.rank
    axis = call.arguments["axis"].value
    assert isinstance(axis, int)
    if not -(rank - 1) <= axis < rank - 1:
        raise call.problem(
            "MN0310",
            "axis",
            f"`axis` must be one of {-(rank - 1)} to {rank - 2} for {tensors[0].type} (the batch is not counted)",
        )
    return call.layers.add(
        "concat", call.label, call.span, {"inputs": tensors}, {"axis": axis + 1 if axis >= 0 else axis + rank}
    )


def _reshape(call: Call) -> Tensor:
    return call.layers.add(
        "reshape",
        call.label,
        call.span,
        {"input": call.tensor("x")},
        {"shape": call.integers("shape", None, 1)},
        call.blame(shape="shape"),
    )


def _transpose(call: Call) -> Tensor:
    return call.layers.add(
        "transpose",
        call.label,
        call.span,
        {"input": call.tensor("x")},
        {"order": call.integers("order", None, 0)},
        call.blame(order="order"),
    )


def _slice(call: Call) -> Tensor:
    return call.layers.add(
        "slice",
        call.label,
        call.span,
        {"input": call.tensor("x")},
        {"begin": call.integers("begin", None, 0), "size": call.integers("size", None, 1)},
        call.blame(begin="begin", size="size"),
    )


def _resize(call: Call) -> Tensor:
    method = call.arguments["method"].value
    if method not in METHODS:
        raise call.problem("MN0310", "method", f"`method` must be bilinear or nearest, got {describe(method)}")
    assert isinstance(method, Symbol)
    return call.layers.add(
        "resize",
        call.label,
        call.span,
        {"input": call.tensor("x")},
        {
            "size": call.pair("size"),
            "method": method.text,
            "align_corners": call.boolean("align_corners"),
            "half_pixel_centers": call.boolean("half_pixel_centers"),
        },
        call.blame(size="size", half_pixel_centers="half_pixel_centers"),
    )


def _flatten(call: Call) -> Tensor:
    shape = (prod(call.type("x").shape[1:]),)
    return call.layers.add("reshape", call.label, call.span, {"input": call.tensor("x")}, {"shape": shape})


def _matmul(call: Call) -> Tensor:
    call.type("a", 3)
    call.type("b", 3)
    return call.layers.add(
        "matmul",
        call.label,
        call.span,
        {"left": call.tensor("a"), "right": call.tensor("b")},
        {"transpose": "right" if call.boolean("transpose") else "none", "scale": call.number("scale")},
    )


def _channel_scale(call: Call) -> Tensor:
    type = call.type("x")
    shape = (*(1 for _ in type.shape[:-1]), type.shape[-1])
    return call.layers.add_with_weights(
        "mul", call.label or "channel_scale", call.span, {"left": call.tensor("x")}, {"right": ("weight", shape)}
    )


def _global_avg_pool(call: Call) -> Tensor:
    call.type("x", 4)
    return call.layers.add("global_avg_pool", call.label, call.span, {"input": call.tensor("x")})


OPERATIONS: dict[str, Operation] = {
    "conv2d": Operation(
        (
            X,
            Parameter("channels", ("int",)),
            Parameter("kernel", PAIR, 1),
            Parameter("stride", PAIR, 1),
            Parameter("padding", PADDING, SAME),
            Parameter("dilation", PAIR, 1),
            Parameter("bias", ("bool",), True),
        ),
        _conv2d,
    ),
    "depthwise_conv2d": Operation(
        (
            X,
            Parameter("kernel", PAIR, 3),
            Parameter("stride", PAIR, 1),
            Parameter("padding", PADDING, SAME),
            Parameter("dilation", PAIR, 1),
            Parameter("multiplier", ("int",), 1),
            Parameter("bias", ("bool",), True),
        ),
        _depthwise_conv2d,
    ),
    "dense": Operation((X, Parameter("features", ("int",)), Parameter("bias", ("bool",), True)), _dense),
    "batch_norm": Operation((X, Parameter("epsilon", ("float",), 1e-3)), _batch_norm),
    "layer_norm": Operation((X, Parameter("epsilon", ("float",), 1e-5)), _layer_norm),
    "add": _binary("add"),
    "sub": _binary("sub"),
    "mul": _binary("mul"),
    **{name: _unary(name) for name in (*UNARY_FUNCTIONS, "softmax", "argmax")},
    "matmul": Operation(
        (
            Parameter("a", ("tensor",)),
            Parameter("b", ("tensor",)),
            Parameter("transpose", ("bool",), False),
            Parameter("scale", ("float",), 1.0),
        ),
        _matmul,
    ),
    "channel_scale": Operation((X,), _channel_scale),
    "clamp": Operation((X, Parameter("low", ("float",)), Parameter("high", ("float",))), _clamp),
    "avg_pool": _pool("avg_pool"),
    "max_pool": _pool("max_pool"),
    "global_avg_pool": Operation((X,), _global_avg_pool),
    "pad": Operation((X, Parameter("padding", PAIR), Parameter("value", ("float",), 0.0)), _pad),
    "concat": Operation((Parameter("tensors", ("list",)), Parameter("axis", ("int",), -1)), _concat),
    "reshape": Operation((X, Parameter("shape", ("list",))), _reshape),
    "flatten": Operation((X,), _flatten),
    "transpose": Operation((X, Parameter("order", ("list",))), _transpose),
    "slice": Operation((X, Parameter("begin", ("list",)), Parameter("size", ("list",))), _slice),
    "resize": Operation(
        (
            X,
            Parameter("size", PAIR),
            Parameter("method", ("symbol",), METHODS[0]),
            Parameter("align_corners", ("bool",), False),
            Parameter("half_pixel_centers", ("bool",), False),
        ),
        _resize,
    ),
}
