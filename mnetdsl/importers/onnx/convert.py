"""From the operators of an ONNX file to layers of the language, channels last."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.importers.onnx.flat import Array, Node, OnnxModel
from mnetdsl.importers.onnx.folding import constant_of, folded
from mnetdsl.importers.onnx.inputs import METADATA, FoundInput, found_inputs, import_input
from mnetdsl.importers.onnx.operators import REMEDIES, RULES
from mnetdsl.importers.onnx.problems import damaged
from mnetdsl.importers.onnx.stores import Stores, caller_storage, storage_of
from mnetdsl.importers.onnx.views import View, ascending, flat_axes, natural_order, permutation
from mnetdsl.importers.tflite.convert import named_outputs
from mnetdsl.importers.tflite.graph import (
    Argument,
    Constant,
    ImportGraph,
    ImportOutput,
    Layer,
    Value,
    classes_of,
    searched,
)
from mnetdsl.importers.tflite.literals import SYMBOLS
from mnetdsl.importers.tflite.operators import MAX_NUMBERS, OTHERWISE, NotSupportedError
from mnetdsl.importers.tflite.problems import MAX_LISTED, unsupported_model
from mnetdsl.importers.tflite.shapes import ShapesDifferError, result_shape
from mnetdsl.ir.types import MAX_ELEMENTS, MAX_RANK, Shape
from mnetdsl.sema.operations import OPERATIONS
from mnetdsl.syntax.mistakes import KEYWORDS

BROKEN = (KeyError, IndexError, ValueError, TypeError, ZeroDivisionError, OverflowError, MemoryError)
"""What rules raise on operators that contradict themselves."""
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
NUMBERED = re.compile(r"[A-Za-z_]*\d+")
"""Names that exporters make up."""


def convert(model: OnnxModel, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()) -> ImportGraph:
    """The network as layers; `mean` and `std` are those of pixels where the file does not say.

    Raises `MnetError`: MN1704 for each operator that is not supported, MN1705 for another kind of model, MN1707 where
    operators contradict themselves.
    """
    return _Converter(model).run(mean, std)


class _Converter:
    """Implements `context.Context`: rules look tensors up here and put layers here."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model
        self.opset = model.opset
        self.inputs = found_inputs(model)
        self.constants = {name: constant_of(array, name) for name, array in model.constants.items()}
        self.views: dict[str, View] = {}
        self.values: dict[int, Value] = {}
        self.layers: list[Layer] = []
        self.stores = Stores(self.values, self.layers)
        self.turned: dict[tuple[int, tuple[int, ...], Shape], int] = {}
        self.notes: list[str] = []
        self.operator = 0
        ends = [port.name for port in model.outputs]
        self.readers = Counter([*(name for node in model.nodes for name in set(node.inputs)), *ends])
        for found in self.inputs:
            self.values[found.number] = Value(found.number, found.shape, None, None, found.port.name)
            self.put(found.port.name, found.view)

    def run(self, mean: tuple[float, ...], std: tuple[float, ...]) -> ImportGraph:
        problems = [problem for node in self._needed() if (problem := self._convert(node)) is not None]
        self._stop(problems)
        ends = [(port, self._end(port.name)) for port in self.model.outputs]
        if not ends or not self.layers:
            raise unsupported_model(self.model.path, "there are no operators in it", "export the network again")
        outputs = tuple(
            ImportOutput(_named(port.name), value, -1, self._labels(port.name, value)) for port, value in ends
        )
        if self.stores.shift_to_signed():
            self.notes.append("uint8 tensors are stored as int8, 128 less in every number")
        self._stop(self._finish())
        outputs = tuple(
            output
            if (stored := self.stores.storage(output.value)) is None
            else caller_storage(output, stored, port.element)
            for output, (port, _) in zip(outputs, ends, strict=True)
        )
        inputs = tuple(
            import_input(found, self.values[found.number].storage, self.model, mean, std, self.notes)
            for found in self.inputs
        )
        named = _distinct_from_inputs(named_outputs(outputs, self.layers, self.values), {port.name for port in inputs})
        notes = tuple(dict.fromkeys(self.notes))
        return ImportGraph(self.values, tuple(self.layers), inputs, named, dict(self.stores.requantized), notes)

    # What rules see

    def view(self, name: str) -> View:
        if name in self.constants:
            raise NotSupportedError("its input is a constant", "fold constants in the exporter")
        return self.views[name]

    def constant(self, name: str) -> Constant | None:
        return self.constants.get(name)

    def numbers(self, name: str, what: str) -> Array:
        found = self.constants.get(name)
        if found is None:
            raise NotSupportedError(f"its {what} is computed by the network")
        return found.array if found.quantization is None else found.real()

    def pixels(self, name: str) -> bool:
        return self._raw(name) is not None

    def indices(self, name: str) -> bool:
        return searched(self.view(name).value, self.layers) is not None

    def _raw(self, name: str) -> FoundInput | None:
        """The input of bytes that `name` is, with what was done to its pixels so far."""
        value = self.views[name].value if name in self.views else -1
        found = next((each for each in self.inputs if each.number == value), None)
        alone = found is not None and found.pixels and value not in self.stores.shared
        return found if alone and self.values[value].storage is None else None

    def arranged(self, view: View, order: tuple[int, ...]) -> tuple[int, Shape]:
        if view.dims[0] or sorted(order) != list(range(1, view.rank)):
            raise NotSupportedError("it splits or joins the batch", "let the batch alone be the first dimension")
        sizes = tuple(view.sizes[place] for place in order)
        value, shape = view.value, view.shape
        if not ascending(flat_axes(view, order)):
            axes = permutation(view, order)
            value, shape = self._turned(value, "transpose", tuple(axis - 1 for axis in axes))
        if shape != (1, *sizes):
            value, shape = self._turned(value, "reshape", sizes)
        return value, shape

    def _turned(self, value: int, operation: str, numbers: tuple[int, ...]) -> tuple[int, Shape]:
        """A layer that moves numbers, made once for all of its readers."""
        key = (value, (len(operation), *numbers), self.values[value].shape)
        if key not in self.turned:
            argument = "order" if operation == "transpose" else "shape"
            self.turned[key], _ = self.add(operation, (value,), {argument: numbers})
        return self.turned[key], self.values[self.turned[key]].shape

    def put(self, name: str, view: View) -> None:
        self.views[name] = view
        if self.readers[name] > 1:
            self.stores.shared.add(view.value)

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
        if operation not in OPERATIONS and operation not in SYMBOLS:
            raise NotSupportedError(f"the language has no `{operation}`")
        if any(not np.isfinite(constant.real()).all() for constant in (constants or {}).values()):
            raise NotSupportedError("its constant operand is not finite")
        shapes = [self.values[value].shape for value in inputs]
        try:
            shape = result_shape(operation, shapes, arguments or {}, list((constants or {}).values()))
        except ShapesDifferError as problem:
            raise ValueError(str(problem)) from None
        if min(shape) < 1 or prod(shape) > MAX_ELEMENTS or len(shape) > MAX_RANK:
            raise ValueError(f"its result is {'x'.join(map(str, shape))}")
        number = len(self.values)
        self.values[number] = Value(number, shape, None, None, name)
        layer = Layer(self.operator, operation, inputs, number, arguments or {}, "none", filter, bias, constants or {})
        self.layers.append(layer)
        self.stores.keep(layer)
        return number, shape

    def scale(self, source: str, name: str, factors: Array, shifts: Array) -> None:
        view = self.view(source)
        factors, shifts = factors.astype(np.float64), shifts.astype(np.float64)
        channels = view.shape[-1]
        if not {factors.size, shifts.size} <= {1, channels}:
            raise NotSupportedError("it scales something else than channels", OTHERWISE)
        if not (np.isfinite(factors).all() and np.isfinite(shifts).all()):
            raise ValueError("its numbers are not finite")
        raw = self._raw(source)
        if raw is not None and (factors != 0).all():
            raw.factors, raw.shifts = raw.factors * factors, raw.shifts * factors + shifts
            self.put(name, view)
            return
        if self.stores.storage(view.value) is not None:
            raise NotSupportedError("it scales channels of stored numbers", "fold it into the layer in front of it")
        place = next((place for place, layer in enumerate(self.layers) if layer.output == view.value), -1)
        before = self.layers[place] if place >= 0 else None
        if before is not None and before.weighted and view.value not in self.stores.shared:
            self.layers[place] = _scaled(before, factors, shifts)
            self.put(name, view)
            return
        self.put(name, view.of(self._scaled_apart(view.value, name, factors, shifts)))

    def _scaled_apart(self, value: int, name: str, factors: Array, shifts: Array) -> int:
        """Channels scaled by a layer of their own: a depthwise convolution of one pixel, or numbers in the text."""
        shape = self.values[value].shape
        channels = shape[-1]
        whole_factors, whole_shifts = (np.broadcast_to(each, channels).astype(np.float32) for each in (factors, shifts))
        if len(shape) == 4 and channels > MAX_NUMBERS:
            arguments: dict[str, Argument] = {
                "kernel": (1, 1),
                "stride": (1, 1),
                "padding": (0, 0, 0, 0),
                "dilation": (1, 1),
                "multiplier": 1,
            }
            filter = Constant(whole_factors.reshape(1, 1, channels, 1), "FLOAT32", None, name)
            bias = Constant(whole_shifts, "FLOAT32", None, name)
            return self.add("depthwise_conv2d", (value,), arguments, name=name, filter=filter, bias=bias)[0]
        if channels > MAX_NUMBERS:
            raise NotSupportedError("it scales features", "let the exporter fold it into the layer in front of it")
        if (whole_factors != 1).any():
            value, _ = self.add("mul", (value,), name=name, constants={1: _few(whole_factors)})
        if (whole_shifts != 0).any():
            value, _ = self.add("add", (value,), name=name, constants={1: _few(whole_shifts)})
        return value

    # Operators

    def _needed(self) -> list[Node]:
        wanted = {port.name for port in self.model.outputs}
        kept: list[Node] = []
        for node in reversed(self.model.nodes):
            if wanted.intersection(node.outputs):
                kept.append(node)
                wanted.update(node.inputs)
        if len(kept) < len(self.model.nodes):
            count = len(self.model.nodes) - len(kept)
            self.notes.append(f"{count} operators compute nothing that is an output: left out")
        return kept[::-1]

    def _convert(self, node: Node) -> Diagnostic | None:
        self.operator = node.number
        unknown = [name for name in node.inputs if name and name not in self.views and name not in self.constants]
        if unknown:
            return None  # behind an operator that is reported
        try:
            with np.errstate(all="ignore"):  # what is not finite is refused where it is used
                self._apply(node)
        except NotSupportedError as problem:
            return self._unsupported(node, problem)
        except BROKEN as problem:
            why = str(problem).strip().splitlines()[0] if str(problem).strip() else "it contradicts itself"
            raise damaged(self.model.path, f"operator {node.number} ({node.kind}): {why[:200]}") from None
        return None

    def _apply(self, node: Node) -> None:
        if not node.outputs or not node.outputs[0]:
            raise ValueError("it has no output")
        if node.kind == "Constant":
            self.constants[node.outputs[0]] = _stated(node)
            return
        if node.kind == "Shape" and node.input(0) in self.views:
            sizes = np.array(self.views[node.input(0)].sizes, np.int64)
            start, end = node.integer("start", 0), node.integer("end", sizes.size)
            self.constants[node.outputs[0]] = constant_of(sizes[start:end])
            return
        operands = [self.constants.get(name) for name in node.inputs]
        if node.inputs and all(name in self.constants or not name for name in node.inputs):
            found = folded(node, operands)
            if found is not None:
                self.constants[node.outputs[0]] = found
                return
        if node.kind in (QUANTIZE, DEQUANTIZE):
            self._stored(node)
            return
        rule = RULES.get(node.kind)
        if rule is None:
            raise NotSupportedError("this operator is not in the language", REMEDIES.get(node.kind, OTHERWISE))
        if not node.inputs or not node.inputs[0]:
            raise ValueError("it has no input")
        for name in node.inputs:
            if name in self.views and self.views[name].rank and self.views[name].dims[0]:
                raise NotSupportedError("the batch is no dimension of its own in front of it")
        rule(node, self)

    def _stored(self, node: Node) -> None:
        view = self.view(node.input(0))
        point = self.constants.get(node.input(2)) if node.input(2) else None
        if node.input(2) and point is None:
            raise NotSupportedError("its zero point is computed by the network", "quantize statically")
        storage = storage_of(node, self.constants.get(node.input(1)), point)
        if node.kind == DEQUANTIZE and self.stores.storage(view.value) not in (None, storage):
            raise ValueError("it reads other numbers than were stored")
        self.stores.store(view.value, storage)
        self.put(node.outputs[0], view)

    def _end(self, name: str) -> int:
        """The value of an output, in the order of the language: maps channels last."""
        view = self.views.get(name)
        if view is None or not any(layer.output == view.value for layer in self.layers):
            remedy = "export the network again, with all of it behind its input"
            raise unsupported_model(self.model.path, f"its output `{name}` is not computed from its input", remedy)
        self.operator = len(self.model.nodes)
        try:
            return self.arranged(view, natural_order(view))[0]
        except NotSupportedError as problem:
            raise unsupported_model(self.model.path, f"its output `{name}`: {problem.why}", problem.remedy) from None

    def _labels(self, name: str, value: int) -> tuple[str, ...]:
        """What `mnet export` wrote into the file, where there is one for each class."""
        classes = classes_of(value, self.values, self.layers)
        text = self.model.metadata.get(f"{METADATA}.{name}.labels", "")
        found = tuple(line.strip() for line in text.splitlines())
        return found if len(found) == classes and all(found) else ()

    def _finish(self) -> list[Diagnostic]:
        problems = []
        for place, layer in enumerate(self.layers):
            try:
                self.layers[place] = self.stores.finished(layer)
            except NotSupportedError as problem:
                problems.append(self._refused(layer.operator, layer.operation, problem, ()))
        return problems

    def _unsupported(self, node: Node, problem: NotSupportedError) -> Diagnostic:
        reads = ", ".join(self._described(name) for name in node.inputs[:3] if name)
        return self._refused(node.number, node.kind, problem, (f"it reads {reads or 'nothing'}",))

    def _refused(self, number: int, kind: str, problem: NotSupportedError, notes: tuple[str, ...]) -> Diagnostic:
        return error(
            "MN1704",
            f"operator {number} ({kind}) is not supported: {problem.why}",
            location=self.model.path,
            notes=notes,
            help=problem.remedy,
        )

    def _described(self, name: str) -> str:
        constant = self.constants.get(name)
        sizes = self.views[name].sizes if constant is None else constant.array.shape
        return f"`{name}` {'x'.join(map(str, sizes)) or 'scalar'}"

    def _stop(self, problems: Sequence[Diagnostic]) -> None:
        if problems:
            shown = list(problems[:MAX_LISTED])
            if len(problems) > MAX_LISTED:
                more = f"{len(problems) - MAX_LISTED} more operators are not supported"
                shown.append(error("MN1704", more, location=self.model.path))
            raise MnetError(*shown)


def _stated(node: Node) -> Constant:
    """The array of an operator Constant."""
    for name, kind in (("value", None), ("value_float", np.float32), ("value_floats", np.float32)):
        if name in node.attributes:
            return constant_of(np.asarray(node.attributes[name], kind), node.outputs[0])
    for name in ("value_int", "value_ints"):
        if name in node.attributes:
            return constant_of(np.asarray(node.attributes[name], np.int64), node.outputs[0])
    raise NotSupportedError("it is a constant of another kind")


def _few(numbers: Array) -> Constant:
    same = bool((numbers == numbers[0]).all())
    return Constant(numbers[:1] if same else numbers, "FLOAT32")


def _scaled(layer: Layer, factors: Array, shifts: Array) -> Layer:
    """A layer with weights and the scaling of its channels behind it, as one layer."""
    filter, bias = layer.filter, layer.bias
    assert filter is not None
    outputs = filter.array.shape[-1] * (filter.array.shape[-2] if layer.operation == "depthwise_conv2d" else 1)
    factors = np.broadcast_to(factors, outputs)
    along = factors.reshape(filter.array.shape[-2:]) if layer.operation == "depthwise_conv2d" else factors
    weights = (filter.real() * along).astype(np.float32)
    offset = np.zeros(outputs) if bias is None else bias.real().astype(np.float64)
    moved = (offset * factors + shifts).astype(np.float32)
    return replace(
        layer,
        filter=Constant(weights, "FLOAT32", None, filter.name),
        bias=Constant(moved, "FLOAT32", None, "" if bias is None else bias.name),
    )


def _named(name: str) -> str:
    """The file's name of an output where it is a word of the language that somebody chose."""
    plain = name.isascii() and name.isidentifier() and not name.startswith("_")
    taken = name in (*KEYWORDS, "as", "in", "of", "and", "or", "not", "true", "false", "output", "network")
    return name if plain and not taken and NUMBERED.fullmatch(name) is None and len(name) <= 40 else ""


def _distinct_from_inputs(outputs: Sequence[ImportOutput], inputs: set[str]) -> tuple[ImportOutput, ...]:
    return tuple(replace(output, name=f"{output.name}_out") if output.name in inputs else output for output in outputs)
