"""What the rules of all operators share: the model as they see it, windows, constant operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mnetdsl.importers.onnx.flat import Array, Node
from mnetdsl.importers.onnx.views import CHANNELS_LAST, View, whole
from mnetdsl.importers.tflite.flat import FlatQuantization
from mnetdsl.importers.tflite.graph import Argument, Constant
from mnetdsl.importers.tflite.operators import NotSupportedError
from mnetdsl.ir.ops.window import same_padding
from mnetdsl.ir.types import Shape

NCHW = (0, 3, 1, 2)
"""Axes of a value with channels last in the order of a file's map."""
LARGEST_STEP = 65_536
"""Of windows, strides and dilations: larger ones only occur in damaged files."""
EVERY_FEATURE = "let the batch alone be the first dimension"


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

    def pixels(self, name: str) -> bool:
        """Whether the tensor is an image of bytes, which the file normalizes itself."""
        ...

    def indices(self, name: str) -> bool:
        """Whether the tensor's numbers are those of classes, which a search for the largest gave."""
        ...

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
    if len(found) != 2 or min(found) < 1 or max(found) > LARGEST_STEP:
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
