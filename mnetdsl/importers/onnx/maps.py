"""Operators of ONNX on maps: pools, means, borders, sizes, parts; and those that run along one dimension."""

from __future__ import annotations

import numpy as np

from mnetdsl.importers.onnx.context import EVERY_FEATURE, Context, Rule, mapped, pair, put_map, window
from mnetdsl.importers.onnx.flat import Node
from mnetdsl.importers.onnx.rules import apply
from mnetdsl.importers.onnx.views import CHANNELS_LAST, View, natural_order, whole
from mnetdsl.importers.tflite.graph import Argument
from mnetdsl.importers.tflite.operators import OTHERWISE, NotSupportedError
from mnetdsl.ir.ops.window import window_output
from mnetdsl.ir.types import Shape


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
