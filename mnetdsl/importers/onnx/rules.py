"""What each operator of ONNX is in the language: layers."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod
from typing import Protocol

import numpy as np

from mnetdsl.importers.onnx.flat import Array, Node
from mnetdsl.importers.onnx.views import CHANNELS_LAST, View, flat_axes, natural_order, whole
from mnetdsl.importers.tflite.flat import FlatQuantization
from mnetdsl.importers.tflite.graph import Argument, Constant
from mnetdsl.importers.tflite.operators import OTHERWISE, NotSupportedError
from mnetdsl.ir.ops.window import same_padding, window_output
from mnetdsl.ir.types import Shape

NCHW = (0, 3, 1, 2)
"""Axes of a value with channels last in the order of a file's map."""
EVERY_FEATURE = "let the batch alone be the first dimension"
LARGEST = float(np.finfo(np.float32).max)


class Context(Protocol):
    """What a rule sees of the model, and where it puts layers."""

    @property
    def opset(self) -> int: ...

    def view(self, name: str) -> View: ...

    def constant(self, name: str) -> Constant | None:
        """The array of a constant, with its scales where it is dequantized in the file."""
        ...

    def numbers(self, name: str, what: str) -> Array:
        """The values of an operand that has to be constant; dequantized ones as float32."""
        ...

    def arranged(self, view: View, order: tuple[int, ...]) -> tuple[int, Shape]:
        """A value whose axes behind the batch are dimensions `order` of the file; layers are added where needed."""
        ...

    def add(
        self,
        operation: str,
        inputs: tuple[int, ...],
        arguments: dict[str, Argument] | None = None,
        *,
        name: str = "",
        filter: Constant | None = None,
        bias: Constant | None = None,
        constants: dict[int, Constant] | None = None,
    ) -> tuple[int, Shape]:
        """Adds a layer; its value and that one's shape. `name` is the tensor of the file that it is."""
        ...

    def put(self, name: str, view: View) -> None: ...

    def scale(self, source: str, name: str, factors: Array, shifts: Array) -> None:
        """`name` is `source` times factors plus shifts, one of each per channel or one for all."""
        ...


Rule = Callable[[Node, Context], None]


def mapped(node: Node, context: Context) -> tuple[int, Shape]:
    """The first operand as [1, H, W, C]."""
    view = context.view(node.input(0))
    if view.rank != 4:
        raise NotSupportedError(f"its input has {view.rank} dimensions where a map has 4", EVERY_FEATURE)
    return context.arranged(view, CHANNELS_LAST)


def put_map(node: Node, context: Context, value: int, shape: Shape) -> None:
    context.put(node.outputs[0], whole(value, shape, NCHW))


def pair(node: Node, name: str, default: tuple[int, int] = (1, 1)) -> tuple[int, int]:
    found = node.integers(name, default)
    if len(found) != 2 or min(found) < 1:
        raise NotSupportedError(f"its {name} are {list(found)}", "take an operator of two dimensions")
    return found[0], found[1]


def window(
    node: Node, shape: Shape, kernel: tuple[int, int], strides: tuple[int, int], dilations: tuple[int, int]
) -> tuple[int, ...]:
    """[top, bottom, left, right]."""
    mode = node.text("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        found: list[int] = []
        for axis in (0, 1):
            before, after = same_padding(shape[axis + 1], kernel[axis], strides[axis], dilations[axis])
            found += [before, after] if mode == "SAME_UPPER" else [after, before]
        return tuple(found)
    if mode == "VALID":
        return (0, 0, 0, 0)
    pads = node.integers("pads", (0, 0, 0, 0))
    if len(pads) != 4 or min(pads) < 0:
        raise NotSupportedError(f"it pads {list(pads)}")
    top, left, bottom, right = pads
    return (top, bottom, left, right)


def along(constant: Constant, axis: int) -> FlatQuantization | None:
    """Its scales, where they are one or lie along output channels."""
    found = constant.quantization
    if found is not None and len(found.scales) > 1 and found.axis % constant.array.ndim != axis:
        raise NotSupportedError(f"its filter has scales along dimension {found.axis}", "quantize per output channel")
    return found


def constant_filter(node: Node, context: Context, place: int) -> Constant:
    found = context.constant(node.input(place))
    if found is None:
        raise NotSupportedError("its filter is computed by the network")
    return found


def bias_of(node: Node, context: Context, place: int, channels: int) -> Constant | None:
    if not node.input(place):
        return None
    found = context.constant(node.input(place))
    if found is None:
        raise NotSupportedError("its bias is computed by the network")
    if found.array.size != channels:
        raise NotSupportedError(f"its bias has {found.array.size} numbers for {channels} channels")
    return Constant(found.array.reshape(-1), found.element, found.quantization, found.name)


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
    if filter is None or filter.array.ndim != 2:
        raise NotSupportedError(
            "both of its operands are computed by the network, or one is a stack of matrices",
            "attention is not imported; write such a network in the language, and import its checkpoint",
        )
    dense(node, context, Constant(filter.array, filter.element, along(filter, 1), filter.name), None)


def batch_norm(node: Node, context: Context) -> None:
    gamma, beta, mean, variance = (
        context.numbers(node.input(place), what).astype(np.float64).reshape(-1)
        for place, what in ((1, "scale"), (2, "offset"), (3, "mean"), (4, "variance"))
    )
    if len({gamma.size, beta.size, mean.size, variance.size}) > 1 or (variance < 0).any():
        raise NotSupportedError("its statistics contradict each other")
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
    if operation == "div":
        if not (array != 0).all():
            raise NotSupportedError("it divides by 0")
        operation, array = "mul", (1.0 / array.astype(np.float64)).astype(np.float32)
    if operation == "sub":
        operation, array = "add", -array
    if array.ndim > view.rank:
        raise NotSupportedError("its constant has more dimensions than the tensor")
    if array.size > 1:
        sizes = (1,) * (view.rank - array.ndim) + array.shape
        if view.rank < 2 or any(size > 1 for place, size in enumerate(sizes) if place != _channels(view)):
            raise NotSupportedError(f"its constant operand is {'x'.join(map(str, array.shape))}, not one per channel")
        if array.size != view.sizes[_channels(view)]:
            raise NotSupportedError(f"it has {array.size} numbers for {view.sizes[_channels(view)]} channels")
        one, zero = np.ones(1), np.zeros(1)
        factors, shifts = (one, array.reshape(-1)) if operation == "add" else (array.reshape(-1), zero)
        context.scale(source, node.outputs[0], factors, shifts)
        return
    if constant.quantization is None:
        constant = Constant(array.reshape(1), "FLOAT32")
    value, _ = context.add(operation, (view.value,), name=node.outputs[0], constants={1: constant})
    context.put(node.outputs[0], view.of(value))


def _channels(view: View) -> int:
    """The dimension that is the last axis of the value."""
    last = len(view.shape) - 1
    found = [place for place, dim in enumerate(view.dims) if dim == (last,)]
    return found[0] if found else 1


def pool(operation: str) -> Rule:
    def rule(node: Node, context: Context) -> None:
        value, shape = mapped(node, context)
        kernel, strides = pair(node, "kernel_shape"), pair(node, "strides")
        if pair(node, "dilations") != (1, 1) or len(node.outputs) > 1 or node.integer("storage_order", 0):
            raise NotSupportedError("it skips pixels, or gives positions")
        padding = list(window(node, shape, kernel, strides, (1, 1)))
        if operation == "avg_pool" and any(padding) and node.integer("count_include_pad", 0):
            value, shape = context.add("pad", (value,), {"padding": tuple(padding)})
            padding = [0, 0, 0, 0]
        if node.integer("ceil_mode", 0):
            for axis in (0, 1):
                before, after = padding[2 * axis : 2 * axis + 2]
                size = shape[axis + 1]
                rest = (size + before + after - kernel[axis]) % strides[axis]
                more = strides[axis] - rest if rest else 0
                windows = window_output(size, kernel[axis], strides[axis], 1, before, after + more)
                if (windows - 1) * strides[axis] < size + before:  # else the last window would hold no pixel
                    padding[2 * axis + 1] += more
        arguments: dict[str, Argument] = {"kernel": kernel, "stride": strides, "padding": tuple(padding)}
        put_map(node, context, *context.add(operation, (value,), arguments, name=node.outputs[0]))

    return rule


def global_average(node: Node, context: Context) -> None:
    _average(node, context, keep=True)


def reduce_mean(node: Node, context: Context) -> None:
    view = context.view(node.input(0))
    axes = node.integers("axes", ())
    if node.input(1):
        axes = tuple(int(axis) for axis in context.numbers(node.input(1), "list of axes").reshape(-1))
    wanted = {axis % view.rank for axis in axes}
    order = natural_order(view)
    if view.rank != 4 or wanted != set(order[:2]):
        raise NotSupportedError(f"it averages the dimensions {sorted(wanted)}, only height and width are averaged")
    _average(node, context, keep=bool(node.integer("keepdims", 1)))


def _average(node: Node, context: Context, *, keep: bool) -> None:
    view = context.view(node.input(0))
    if view.rank != 4:
        raise NotSupportedError(f"its input has {view.rank} dimensions where a map has 4")
    order = CHANNELS_LAST if node.kind == "GlobalAveragePool" else natural_order(view)
    value, _ = context.arranged(view, order)
    result, shape = context.add("global_avg_pool", (value,), name=node.outputs[0])
    channels = (1,) if shape[1] > 1 else ()
    dims = tuple(channels if place == order[2] else () for place in range(4))
    if not keep:
        dims = ((), channels)
    context.put(node.outputs[0], View(result, shape, dims))


def global_max(node: Node, context: Context) -> None:
    value, shape = mapped(node, context)
    arguments: dict[str, Argument] = {"kernel": shape[1:3], "stride": shape[1:3], "padding": (0, 0, 0, 0)}
    put_map(node, context, *context.add("max_pool", (value,), arguments, name=node.outputs[0]))


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


def softmax(node: Node, context: Context) -> None:
    view = context.view(node.input(0))
    old = context.opset < 13
    axis = node.integer("axis", 1 if old else -1) % view.rank
    axes = [axis for dim in view.dims[axis:] for axis in dim] if old else list(view.dims[axis])
    place = next((place for place, dim in enumerate(view.dims) if list(dim) == axes and len(axes) == 1), axis)
    if old and len(axes) > 1:
        raise NotSupportedError("it runs over several dimensions together", "export it with opset_version=13 or later")
    if view.dims[place] == (len(view.shape) - 1,):
        apply("softmax", node, context)
        return
    order = (*(k for k in natural_order(view) if k != place), place)
    value, _ = context.arranged(view, order)
    result, shape = context.add("softmax", (value,), name=node.outputs[0])
    where = {k: position + 1 for position, k in enumerate(order)}
    context.put(node.outputs[0], whole(result, shape, [where.get(k, 0) for k in range(view.rank)]))


def pad(node: Node, context: Context) -> None:
    mode = node.text("mode", "constant")
    if mode != "constant":
        raise NotSupportedError(f"it pads by {mode}", "train with a border of zeros")
    value, _ = mapped(node, context)
    pads = node.integers("pads", ())
    border = node.number_of("value", 0.0)
    if node.input(1):
        pads = tuple(int(item) for item in context.numbers(node.input(1), "padding").reshape(-1))
    if node.input(2):
        border = float(context.numbers(node.input(2), "border").reshape(-1)[0])
    if node.input(3):
        raise NotSupportedError("it names the dimensions to pad", "export it with opset_version=17")
    if len(pads) != 8 or any(pads[k] for k in (0, 1, 4, 5)) or min(pads) < 0:
        raise NotSupportedError(f"it pads {list(pads)}, only height and width are padded")
    arguments: dict[str, Argument] = {"padding": (pads[2], pads[6], pads[3], pads[7])}
    if border != 0.0:
        arguments["value"] = border
    put_map(node, context, *context.add("pad", (value,), arguments, name=node.outputs[0]))


def concat(node: Node, context: Context) -> None:
    views = [context.view(name) for name in node.inputs]
    main = views[0]
    axis = node.integer("axis", 1)
    if len({view.rank for view in views}) > 1 or not -main.rank <= axis < main.rank:
        raise NotSupportedError("its operands have different numbers of dimensions")
    axis %= main.rank
    if axis == 0:
        raise NotSupportedError("it joins along the batch", EVERY_FEATURE)
    order = natural_order(main)
    values = tuple(context.arranged(view, order)[0] for view in views)
    last = order.index(axis) - len(order)
    value, shape = context.add("concat", values, {"axis": last}, name=node.outputs[0])
    where = {k: position + 1 for position, k in enumerate(order)}
    context.put(node.outputs[0], whole(value, shape, [where.get(k, 0) for k in range(main.rank)]))


def resize(node: Node, context: Context) -> None:
    value, shape = mapped(node, context)
    sizes = _sizes(node, context, shape)
    method = {"nearest": "nearest", "linear": "bilinear"}.get(node.text("mode", "nearest"))
    upsample = node.kind == "Upsample"
    grid = "asymmetric" if upsample else node.text("coordinate_transformation_mode", "half_pixel")
    rounding = "floor" if upsample else node.text("nearest_mode", "round_prefer_floor")
    grows = all(size % before == 0 for size, before in zip(sizes, shape[1:3], strict=True))
    if grid == "pytorch_half_pixel" and min(sizes) > 1:
        grid = "half_pixel"
    fits = grid in ("half_pixel", "align_corners", "asymmetric")
    if method == "nearest":
        # With whole factors no source position lies on the edge between two pixels.
        fits = (grid, rounding) == ("asymmetric", "floor") or (
            grid == "half_pixel" and rounding.startswith("round") and grows
        )
        if fits and grid == "half_pixel":
            grid = "asymmetric"
    if method is None or not fits:
        raise NotSupportedError(f"its mode is {node.text('mode', 'nearest')}, {grid}, {rounding}", OTHERWISE)
    arguments: dict[str, Argument] = {
        "size": sizes,
        "method": method,
        "align_corners": grid == "align_corners",
        "half_pixel_centers": grid == "half_pixel",
    }
    put_map(node, context, *context.add("resize", (value,), arguments, name=node.outputs[0]))


def _sizes(node: Node, context: Context, shape: Shape) -> tuple[int, int]:
    place = 1 if node.kind == "Upsample" or context.opset < 11 else 2
    file_shape = (1, shape[3], shape[1], shape[2])
    if node.input(place):
        scales = context.numbers(node.input(place), "list of factors").reshape(-1)
        if scales.size == 4 and (scales[:2] == 1).all() and (scales > 0).all():
            found = [int(np.floor(size * float(scale))) for size, scale in zip(file_shape, scales, strict=True)]
            return found[2], found[3]
    if node.input(3):
        sizes = [int(size) for size in context.numbers(node.input(3), "size").reshape(-1)]
        if len(sizes) == 4 and tuple(sizes[:2]) == file_shape[:2]:
            return sizes[2], sizes[3]
    raise NotSupportedError("it resizes other dimensions than height and width")


def argmax(node: Node, context: Context) -> None:
    view = context.view(node.input(0))
    axis = node.integer("axis", 0) % view.rank
    if axis == 0 or node.integer("select_last_index", 0):
        raise NotSupportedError("it searches the batch, or for the last of equal values")
    order = (*(k for k in natural_order(view) if k != axis), axis)
    value, _ = context.arranged(view, order)
    result, shape = context.add("argmax", (value,), name=node.outputs[0])
    where = {k: position + 1 for position, k in enumerate(order[:-1])}
    found = whole(result, shape, [where.get(k, 0) for k in range(view.rank)])
    if not node.integer("keepdims", 1):
        found = View(result, shape, tuple(dim for k, dim in enumerate(found.dims) if k != axis))
    context.put(node.outputs[0], found)


def select(context: Context, source: str, name: str, begin: dict[int, int], count: dict[int, int]) -> None:
    """`name` is a box of `source`: by dimension of the file, from where on and how many."""
    view = context.view(source)
    starts = [0] * len(view.shape)
    sizes = list(view.shape)
    for place in begin:
        if begin[place] == 0 and count[place] == view.sizes[place]:
            continue
        if len(view.dims[place]) != 1 or place == 0:
            raise NotSupportedError("it selects from joined dimensions, or from the batch")
        (axis,) = view.dims[place]
        starts[axis], sizes[axis] = begin[place], count[place]
    value, shape = context.add(
        "slice", (view.value,), {"begin": tuple(starts[1:]), "size": tuple(sizes[1:])}, name=name
    )
    dims = tuple(tuple(axis for axis in dim if shape[axis] > 1) for dim in view.dims)
    context.put(name, View(value, shape, dims))


def slice_(node: Node, context: Context) -> None:
    view = context.view(node.input(0))

    def given(place: int, attribute: str, default: tuple[int, ...]) -> tuple[int, ...]:
        if node.input(place):
            return tuple(int(item) for item in context.numbers(node.input(place), attribute).reshape(-1))
        return node.integers(attribute, default)

    starts, ends = given(1, "starts", ()), given(2, "ends", ())
    axes = given(3, "axes", tuple(range(len(starts))))
    steps = given(4, "steps", (1,) * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps) or any(step != 1 for step in steps):
        raise NotSupportedError("it skips pixels, or turns them around")
    begin, count = {}, {}
    for axis, start, end in zip(axes, starts, ends, strict=True):
        size = view.sizes[axis % view.rank]
        first, last = (max(0, min(size, k + size if k < 0 else k)) for k in (start, end))
        if last <= first:
            raise NotSupportedError("it selects nothing")
        begin[axis % view.rank], count[axis % view.rank] = first, last - first
    select(context, node.input(0), node.outputs[0], begin, count)


def split(node: Node, context: Context) -> None:
    view = context.view(node.input(0))
    axis = node.integer("axis", 0) % view.rank
    size, parts = view.sizes[axis], len(node.outputs)
    sizes = node.integers("split", ())
    if node.input(1):
        sizes = tuple(int(item) for item in context.numbers(node.input(1), "sizes").reshape(-1))
    if not sizes:
        each = -(-size // parts)
        sizes = tuple(min(each, size - each * k) for k in range(parts))
    if len(sizes) != parts or sum(sizes) != size or min(sizes) < 1:
        raise NotSupportedError(f"it splits {size} into {list(sizes)}")
    start = 0
    for name, count in zip(node.outputs, sizes, strict=True):
        if name:
            select(context, node.input(0), name, {axis: start}, {axis: count})
        start += count


def reordered(view: View) -> bool:
    """Whether the file lists the numbers in another order than the value holds them."""
    axes = flat_axes(view, range(view.rank))
    return axes != sorted(axes)


def features(view: View) -> int:
    return prod(view.sizes[1:])
