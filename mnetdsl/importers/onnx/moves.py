"""Operators of ONNX that only change how numbers are listed. Most of them need no layer."""

from __future__ import annotations

from math import prod

from mnetdsl.importers.onnx.context import EVERY_FEATURE, Context
from mnetdsl.importers.onnx.flat import Node
from mnetdsl.importers.onnx.views import View, whole
from mnetdsl.importers.tflite.operators import NotSupportedError
from mnetdsl.ir.types import MAX_RANK, Shape

FLOATS = (1, 10, 11, 16)
"""ONNX's numbers of float, float16, double and bfloat16."""
WIDE_INTEGERS = (6, 7)
"""ONNX's numbers of int32 and int64, either of which holds indices of classes."""


def same(node: Node, context: Context) -> None:
    context.put(node.outputs[0], context.view(node.input(0)))


def cast(node: Node, context: Context) -> None:
    kind = node.integer("to", 0)
    if kind not in FLOATS and not (kind in WIDE_INTEGERS and context.indices(node.input(0))):
        raise NotSupportedError("it turns numbers into integers", "cut the network off in front of it")
    same(node, context)


def transpose(node: Node, context: Context) -> None:
    view = context.view(node.input(0))
    order = node.integers("perm", tuple(reversed(range(view.rank))))
    if sorted(order) != list(range(view.rank)):
        raise NotSupportedError(f"its order of dimensions is {list(order)}")
    context.put(node.outputs[0], view.transposed(order))


def reshape(node: Node, context: Context) -> None:
    view = context.view(node.input(0))
    if node.input(1):
        wanted = [int(size) for size in context.numbers(node.input(1), "shape").reshape(-1)]
    else:
        wanted = list(node.integers("shape", ()))
    if not node.integer("allowzero", 0):
        wanted = [view.sizes[place] if size == 0 and place < view.rank else size for place, size in enumerate(wanted)]
    rest = prod(size for size in wanted if size != -1)
    if wanted.count(-1) > 1 or rest < 1:
        raise NotSupportedError(f"its shape is {wanted}")
    reshaped(node, context, view, tuple(prod(view.sizes) // rest if size == -1 else size for size in wanted))


def flatten(node: Node, context: Context) -> None:
    view = context.view(node.input(0))
    axis = node.integer("axis", 1)
    axis = axis + view.rank if axis < 0 else axis
    if not 0 <= axis <= view.rank:
        raise NotSupportedError(f"it has the axis {axis} of {view.rank}")
    reshaped(node, context, view, (prod(view.sizes[:axis]), prod(view.sizes[axis:])))


def squeeze(node: Node, context: Context) -> None:
    view = context.view(node.input(0))
    places = _axes(node, context)
    dropped = {place % view.rank for place in places} if places else {k for k, n in enumerate(view.sizes) if n == 1}
    if any(view.sizes[place] != 1 for place in dropped):
        raise NotSupportedError("it removes dimensions of more than one number")
    dims = tuple(dim for place, dim in enumerate(view.dims) if place not in dropped)
    context.put(node.outputs[0], View(view.value, view.shape, dims))


def unsqueeze(node: Node, context: Context) -> None:
    view = context.view(node.input(0))
    places = _axes(node, context)
    rank = view.rank + len(places)
    added = {place % rank for place in places} if rank else set()
    if len(added) != len(places) or rank > MAX_RANK:
        raise NotSupportedError(f"it adds the dimensions {list(places)}")
    dims = list(view.dims)
    for place in sorted(added):
        dims.insert(place, ())
    context.put(node.outputs[0], View(view.value, view.shape, tuple(dims)))


def _axes(node: Node, context: Context) -> tuple[int, ...]:
    if node.input(1):
        return tuple(int(axis) for axis in context.numbers(node.input(1), "list of axes").reshape(-1))
    return node.integers("axes", ())


def reshaped(node: Node, context: Context, view: View, sizes: Shape) -> None:
    """The numbers of `view` in the file's order under `sizes`."""
    if prod(sizes) != prod(view.sizes) or len(sizes) > MAX_RANK:
        raise NotSupportedError(f"it turns {'x'.join(map(str, view.sizes))} into {'x'.join(map(str, sizes))}")
    found = view.regrouped(sizes)
    if found is not None:
        context.put(node.outputs[0], found)
        return
    if sizes[0] != 1 or view.dims[0]:
        raise NotSupportedError("it splits or joins the batch", EVERY_FEATURE)
    value, _ = context.arranged(view, tuple(range(1, view.rank)))
    result, shape = context.add("reshape", (value,), {"shape": sizes[1:]}, name=node.outputs[0])
    context.put(node.outputs[0], whole(result, shape, range(len(sizes))))
