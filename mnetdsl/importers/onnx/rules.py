"""Layers with weights, sums, products and functions of ONNX in the language."""

from __future__ import annotations

from math import inf

import numpy as np

from mnetdsl.importers.onnx.context import (
    EVERY_FEATURE,
    Context,
    Rule,
    along,
    bias_of,
    constant_filter,
    mapped,
    pair,
    put_map,
    window,
)
from mnetdsl.importers.onnx.flat import Node
from mnetdsl.importers.onnx.views import View, ascending, flat_axes, natural_order, whole
from mnetdsl.importers.tflite.graph import Argument, Constant
from mnetdsl.importers.tflite.operators import MAX_NUMBERS, NotSupportedError

LARGEST = float(np.finfo(np.float32).max)


def conv(node: Node, context: Context) -> None:
    value, shape = mapped(node, context)
    filter = constant_filter(node, context, 1)
    if filter.array.ndim != 4:
        raise NotSupportedError(f"its filter has {filter.array.ndim} dimensions")
    outputs, inputs, *kernel_sizes = filter.array.shape
    kernel = (int(kernel_sizes[0]), int(kernel_sizes[1]))
    groups = node.integer("group", 1)
    if groups < 1 or inputs * groups != shape[3] or outputs % groups or 0 in filter.array.shape:
        raise NotSupportedError(f"its filter reads {inputs} of {shape[3]} channels in {groups} groups")
    strides, dilations = pair(node, "strides"), pair(node, "dilations")
    dilations = (dilations[0] if kernel[0] > 1 else 1, dilations[1] if kernel[1] > 1 else 1)
    arguments: dict[str, Argument] = {
        "kernel": kernel,
        "stride": strides,
        "padding": window(node, shape, kernel, strides, dilations),
        "dilation": dilations,
    }
    scales = along(filter, 0)
    if groups > 1 and groups == shape[3]:
        operation, arguments["multiplier"] = "depthwise_conv2d", outputs // groups
        array = filter.array[:, 0].transpose(1, 2, 0).reshape(*kernel, groups, outputs // groups)
    elif groups == 1:
        operation, arguments["channels"] = "conv2d", outputs
        array = filter.array.transpose(2, 3, 1, 0)
    else:
        raise NotSupportedError(
            f"it is a convolution in {groups} groups", "train with one group, or with depthwise convolutions"
        )
    result = context.add(
        operation,
        (value,),
        arguments,
        name=node.outputs[0],
        filter=Constant(array, filter.element, scales, filter.name),
        bias=bias_of(node, context, 2, outputs),
    )
    put_map(node, context, *result)


def dense(node: Node, context: Context, filter: Constant, bias: Constant | None) -> None:
    """`filter` [features, outputs] in the order of the file's features."""
    view = context.view(node.input(0))
    features, outputs = filter.array.shape
    if view.rank != 2 or view.dims[0] or view.sizes[1] != features or 0 in filter.array.shape:
        raise NotSupportedError(f"it has {features} features for {'x'.join(map(str, view.sizes))}", EVERY_FEATURE)
    axes = view.dims[1]
    order = sorted(axes)
    sizes = [view.shape[axis] for axis in axes]
    array = filter.array.reshape(*sizes, outputs)
    array = array.transpose([*(axes.index(axis) for axis in order), len(axes)]).reshape(features, outputs)
    value = view.value
    if view.shape != (1, features):
        value, _ = context.add("reshape", (value,), {"shape": (features,)})
    result, shape = context.add(
        "dense",
        (value,),
        {"features": outputs},
        name=node.outputs[0],
        filter=Constant(array, filter.element, filter.quantization, filter.name),
        bias=bias,
    )
    context.put(node.outputs[0], whole(result, shape, (0, 1)))


def gemm(node: Node, context: Context) -> None:
    filter = constant_filter(node, context, 1)
    if filter.array.ndim != 2 or node.integer("transA", 0):
        raise NotSupportedError("its left operand is transposed, or its right one no matrix")
    transposed = bool(node.integer("transB", 0))
    scales = along(filter, 0 if transposed else 1)
    array = filter.array.T if transposed else filter.array
    alpha, beta = node.number_of("alpha", 1.0), node.number_of("beta", 1.0)
    outputs = array.shape[1]
    bias = None
    if node.input(2):
        given = context.constant(node.input(2))
        if given is None:
            raise NotSupportedError("its bias is computed by the network")
        if given.array.size not in (1, outputs):
            raise NotSupportedError(f"its bias has {given.array.size} numbers for {outputs} features")
        bias = Constant(
            np.broadcast_to(given.array.reshape(-1), (outputs,)), given.element, given.quantization, given.name
        )
        if beta != 1.0:
            bias = Constant((bias.real() * np.float32(beta)).astype(np.float32), "FLOAT32")
    weights = Constant(array, filter.element, scales, filter.name)
    if alpha != 1.0:
        weights = Constant((weights.real() * np.float32(alpha)).astype(np.float32), "FLOAT32")
    dense(node, context, weights, bias)


def matmul(node: Node, context: Context) -> None:
    filter = context.constant(node.input(1))
    if filter is None and context.constant(node.input(0)) is None:
        _of_tensors(node, context)
        return
    if filter is None or filter.array.ndim != 2:
        raise NotSupportedError(
            "its left operand is a constant, or its right one a stack of matrices", "export it as a dense layer"
        )
    dense(node, context, Constant(filter.array, filter.element, along(filter, 1), filter.name), None)


def _of_tensors(node: Node, context: Context) -> None:
    """Attention: rows [rows, depth] of one or more heads times one matrix [depth, columns] for all of them."""
    left, right = context.view(node.input(0)), context.view(node.input(1))
    if left.rank != right.rank or left.rank < 3 or any(right.dims[1:-2]) or left.dims[0]:
        raise NotSupportedError(
            "its right operand is a matrix for each head", "write such a network in the language, with one for all"
        )
    if left.sizes[-1] != right.sizes[-2]:
        raise ValueError(f"it multiplies rows of {left.sizes[-1]} with columns of {right.sizes[-2]}")
    heads = tuple(axis for dim in left.dims[1:-2] for axis in dim)
    rows, _ = context.arranged(View(left.value, left.shape, ((), (*heads, *left.dims[-2]), left.dims[-1])), (1, 2))
    matrix = View(right.value, right.shape, ((), *right.dims[-2:]))
    transposed = not ascending(flat_axes(matrix, (1, 2))) and ascending(flat_axes(matrix, (2, 1)))
    columns, _ = context.arranged(matrix, (2, 1) if transposed else (1, 2))
    arguments: dict[str, Argument] = {"transpose": True} if transposed else {}
    value, shape = context.add("matmul", (rows, columns), arguments, name=node.outputs[0])
    sizes = (*left.sizes[:-1], right.sizes[-1])
    found = whole(value, shape, (0, 1, 2)).regrouped(sizes)
    if found is None:
        value, shape = context.add("reshape", (value,), {"shape": sizes[1:]})
        found = whole(value, shape, range(len(sizes)))
    context.put(node.outputs[0], found)


def batch_norm(node: Node, context: Context) -> None:
    gamma, beta, mean, variance = (
        context.numbers(node.input(place), what).astype(np.float64).reshape(-1)
        for place, what in ((1, "scale"), (2, "offset"), (3, "mean"), (4, "variance"))
    )
    if len({gamma.size, beta.size, mean.size, variance.size}) > 1 or (variance < 0).any():
        raise NotSupportedError("its statistics contradict each other")
    view = context.view(node.input(0))
    if node.integer("training_mode", 0) or view.rank < 2 or (gamma.size > 1 and channels(view) != 1):
        raise NotSupportedError("it is in training, or runs along another dimension", "export the network in eval mode")
    factors = gamma / np.sqrt(variance + node.number_of("epsilon", 1e-5))
    context.scale(node.input(0), node.outputs[0], factors, beta - mean * factors)


def elementwise(operation: str) -> Rule:
    """Add, Sub, Mul and Div."""

    def rule(node: Node, context: Context) -> None:
        constants = [context.constant(name) for name in node.inputs]
        if len(node.inputs) != 2 or all(constants):
            raise NotSupportedError("both of its operands are constants")
        left, right = constants
        if left is None and right is None:
            _of_two(operation, node, context)
        elif right is None:
            if operation in ("sub", "div"):
                raise NotSupportedError(
                    "it takes the network's result from a constant", "export it the other way round"
                )
            assert left is not None
            _with_numbers(operation, node, context, node.inputs[1], left)
        else:
            _with_numbers(operation, node, context, node.inputs[0], right)

    return rule


def _of_two(operation: str, node: Node, context: Context) -> None:
    if operation == "div":
        raise NotSupportedError("it divides two tensors of the network", "multiply by the reciprocal in the network")
    views = [context.view(name) for name in node.inputs]
    if len({view.rank for view in views}) > 1:
        raise NotSupportedError("its operands have different numbers of dimensions")
    main = max(views, key=lambda view: sum(bool(dim) for dim in view.dims))
    if all((view.shape, view.dims) == (main.shape, main.dims) for view in views):
        value, _ = context.add(operation, (views[0].value, views[1].value), name=node.outputs[0])
        context.put(node.outputs[0], main.of(value))
        return
    order = natural_order(main)
    left, right = (context.arranged(view, order)[0] for view in views)
    value, shape = context.add(operation, (left, right), name=node.outputs[0])
    axes = {place: axis + 1 for axis, place in enumerate(order)}
    context.put(node.outputs[0], whole(value, shape, [axes.get(place, 0) for place in range(main.rank)]))


def _with_numbers(operation: str, node: Node, context: Context, source: str, constant: Constant) -> None:
    view = context.view(source)
    array = constant.real()
    if array.ndim > view.rank:
        raise NotSupportedError("its constant has more dimensions than the tensor")
    if array.size > 1:
        sizes = (1,) * (view.rank - array.ndim) + array.shape
        if view.rank < 2 or any(size > 1 for place, size in enumerate(sizes) if place != channels(view)):
            raise NotSupportedError(f"its constant operand is {'x'.join(map(str, array.shape))}, not one per channel")
        if array.size != view.sizes[channels(view)]:
            raise NotSupportedError(f"it has {array.size} numbers for {view.sizes[channels(view)]} channels")
    if constant.quantization is not None and operation != "div" and array.size <= MAX_NUMBERS:
        stored = Constant(constant.array.reshape(-1), constant.element, constant.quantization, constant.name)
        value, _ = context.add(operation, (view.value,), name=node.outputs[0], constants={1: stored})
        context.put(node.outputs[0], view.of(value))
        return
    if operation == "div":
        if not (array != 0).all():
            raise NotSupportedError("it divides by 0")
        operation, array = "mul", (1.0 / array.astype(np.float64)).astype(np.float32)
    if operation == "sub":
        operation, array = "add", -array
    numbers, one, zero = array.reshape(-1), np.ones(1), np.zeros(1)
    if array.size > 1 or context.pixels(source):
        factors, shifts = (one, numbers) if operation == "add" else (numbers, zero)
        context.scale(source, node.outputs[0], factors, shifts)
        return
    constants = {1: Constant(numbers, "FLOAT32")}
    value, _ = context.add(operation, (view.value,), name=node.outputs[0], constants=constants)
    context.put(node.outputs[0], view.of(value))


def channels(view: View) -> int:
    """The dimension that is the last axis of the value."""
    last = len(view.shape) - 1
    found = [place for place, dim in enumerate(view.dims) if dim == (last,)]
    return found[0] if found else 1


def apply(operation: str, node: Node, context: Context, arguments: dict[str, Argument] | None = None) -> None:
    """A function of each number."""
    view = context.view(node.input(0))
    value, _ = context.add(operation, (view.value,), arguments, name=node.outputs[0])
    context.put(node.outputs[0], view.of(value))


def unary(operation: str) -> Rule:
    return lambda node, context: apply(operation, node, context)


def hard_sigmoid(node: Node, context: Context) -> None:
    alpha, beta = node.number_of("alpha", 0.2), node.number_of("beta", 0.5)
    if abs(alpha - 1 / 6) > 1e-6 or beta != 0.5:
        raise NotSupportedError(
            f"it has alpha = {alpha:g} and beta = {beta:g}, not 1/6 and 0.5", "train with torch.nn.Hardsigmoid"
        )
    apply("hard_sigmoid", node, context)


def gelu(node: Node, context: Context) -> None:
    if node.text("approximate", "none") != "none":
        raise NotSupportedError("it approximates gelu by tanh", "train with the exact form, or with hard_swish")
    apply("gelu", node, context)


def swish(node: Node, context: Context) -> None:
    if node.number_of("alpha", 1.0) != 1.0:
        raise NotSupportedError("it scales its gate", "train with torch.nn.SiLU")
    apply("silu", node, context)


def clip(node: Node, context: Context) -> None:
    low, high = node.number_of("min", -inf), node.number_of("max", inf)
    if node.input(1):
        low = float(context.numbers(node.input(1), "lower bound").reshape(-1)[0])
    if node.input(2):
        high = float(context.numbers(node.input(2), "upper bound").reshape(-1)[0])
    if not low <= high:
        raise NotSupportedError(f"it cuts to {low:g} … {high:g}")
    low, high = max(low, -LARGEST), min(high, LARGEST)
    named = {(0.0, 6.0): "relu6", (0.0, LARGEST): "relu"}.get((low, high))
    apply(named or "clamp", node, context, None if named else {"low": low, "high": high})
