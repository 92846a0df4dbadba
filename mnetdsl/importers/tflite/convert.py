"""From the operators of the file to layers of the language; what stands at the ends becomes inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.importers.tflite.flat import ELEMENTS, FlatModel, FlatOperator, FlatQuantization, FlatTensor
from mnetdsl.importers.tflite.graph import (
    KEEPS_STORAGE,
    STORED,
    Argument,
    Constant,
    ImportGraph,
    ImportOutput,
    Layer,
    Requantized,
    Storage,
    Value,
    classes_of,
)
from mnetdsl.importers.tflite.literals import SYMBOLS
from mnetdsl.importers.tflite.operators import OTHERWISE, REMEDIES, RULES, NotSupportedError
from mnetdsl.importers.tflite.pixels import IMAGE_CHANNELS, Head, Pixels, input_of
from mnetdsl.importers.tflite.problems import MAX_LISTED, bad_quantization, damaged, unsupported_model
from mnetdsl.importers.tflite.shapes import ShapesDifferError, result_shape
from mnetdsl.ir.types import Shape
from mnetdsl.sema.operations import OPERATIONS

POSTPROCESS = "TFLite_Detection_PostProcess"


def convert(model: FlatModel, pixels: Pixels, labels: Sequence[tuple[str, ...]] = ()) -> ImportGraph:
    """The network as layers.

    Raises `MnetError`: MN1702 where operators wait for each other or a tensor has two sources, MN1703 where scales
    contradict each other, MN1704 for each operator that is not supported, MN1705 for another kind of model.
    """
    return _Converter(model).run(pixels, labels)


class _Converter:
    """Implements `operators.Context`: rules look tensors up here and put layers here."""

    def __init__(self, model: FlatModel) -> None:
        self.model = model
        self.path = model.path
        self.constants = {tensor.number: _constant(tensor) for tensor in model.tensors if tensor.constant}
        self.values: dict[int, Value] = {}
        self.layers: list[Layer] = []
        self.alias: dict[int, int] = {}
        self.requantized: dict[int, Requantized] = {}
        self.notes: list[str] = []
        self.operator = 0

    def run(self, pixels: Pixels, labels: Sequence[tuple[str, ...]]) -> ImportGraph:
        for tensor in self.model.tensors:
            if not tensor.constant:
                self.values[tensor.number] = Value(
                    tensor.number, tensor.shape, self._storage(tensor), tensor.number, tensor.name
                )
        operators = self._ordered()
        operators, ends = self._without_postprocess(operators)
        operators = self._needed(operators, ends)
        head = {number: self._head(number, operators) for number in self.model.inputs}
        inputs = tuple(
            input_of(self.model, number, place, head[number], pixels, self.notes)
            for place, number in enumerate(self.model.inputs)
        )
        taken = {operator for found in head.values() for operator in found.operators}
        for port in inputs:
            last = head[port.value].last
            if last != port.value:
                storage = self.values[last].storage
                self.values[port.value] = replace(self.values[port.value], shape=port.shape, storage=storage)
                self.alias[last] = port.value
        rows = self._tail(operators, ends, taken)
        problems = [
            problem
            for operator in operators
            if operator.number not in taken and (problem := self._convert(operator)) is not None
        ]
        if problems:
            more = len(problems) - MAX_LISTED
            shown = problems[:MAX_LISTED]
            if more > 0:
                shown.append(error("MN1704", f"{more} more operators are not supported", location=self.path))
            raise MnetError(*shown)
        if not self.layers:
            raise unsupported_model(self.path, "there are no operators in it", "convert the network again")
        outputs = []
        for number, name, place in ends:
            source, row = rows.get(number, (number, None))
            value = self._resolved(source)
            if value not in self.values or not any(layer.output == value for layer in self.layers):
                raise unsupported_model(self.path, "one of its outputs is not computed", "convert the network again")
            classes = classes_of(value, self.values, self.layers)
            outputs.append(ImportOutput(name, value, number, self._labels(labels, place, name, classes), row))
        named = named_outputs(outputs, self.layers, self.values)
        return ImportGraph(
            self.values, tuple(self.layers), inputs, named, dict(self.requantized), tuple(dict.fromkeys(self.notes))
        )

    # What rules see

    def shape(self, tensor: int) -> Shape:
        if tensor in self.constants:
            return self.constants[tensor].array.shape
        return self.values[self._resolved(tensor)].shape

    def constant(self, tensor: int) -> Constant | None:
        return self.constants.get(tensor)

    def stored(self, tensor: int) -> Storage | None:
        value = self._resolved(tensor)
        again = self.requantized.get(value)
        return self.values[value].storage if again is None else again.storage

    def name(self, tensor: int) -> str:
        return self.values[self._resolved(tensor)].name

    def step(self, shape: Shape, storage: Storage | None) -> int:
        number = max(len(self.model.tensors), *self.values) + 1
        self.values[number] = Value(number, shape, storage, None)
        return number

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
    ) -> None:
        if operation not in OPERATIONS and operation not in SYMBOLS:
            raise NotSupportedError(f"the language has no `{operation}`")
        values = tuple(self._resolved(number) for number in inputs)
        stored = {self.stored(value) for value in values}
        self._check_shape(operation, values, output, arguments or {}, list((constants or {}).values()))
        result = self.values[output].storage
        if operation in KEEPS_STORAGE and result is not None and stored != {result}:
            raise NotSupportedError("it stores its result with other numbers than its input", "convert it again")
        if operation != "argmax" and any((item is None) != (result is None) for item in stored):
            raise NotSupportedError("one side of it is quantized and the other is not", "quantize the whole network")
        if filter is not None and filter.quantization is not None and result is None:
            filter = Constant(filter.real(), "FLOAT32", None, filter.name)
            self.notes.append(
                "weights were stored in 8 bits and the network computes in float: they are imported as float32"
            )
        if filter is not None and result is not None:
            filter = _stored_filter(filter, next(iter(stored)))
        if result is not None and bias is not None and bias.array.dtype.kind not in "iu":
            raise NotSupportedError("its bias is float in a quantized network", "quantize the whole network")
        self.layers.append(
            Layer(
                self.operator,
                operation,
                values,
                output,
                arguments or {},
                activation,
                filter,
                bias,
                constants or {},
            )
        )

    def _check_shape(
        self,
        operation: str,
        values: Sequence[int],
        output: int,
        arguments: Mapping[str, Argument],
        constants: Sequence[Constant],
    ) -> None:
        stated = self.values[output].shape
        try:
            shape = result_shape(operation, [self.values[value].shape for value in values], arguments, constants)
        except ShapesDifferError as problem:
            raise damaged(self.path, f"operator {self.operator}: {problem}") from None
        if shape != stated or 0 in shape:
            given, said = ("x".join(map(str, sizes)) for sizes in (shape, stated))
            raise damaged(self.path, f"operator {self.operator} gives {given}, and the file says {said}")

    # Preparation

    def _storage(self, tensor: FlatTensor) -> Storage | None:
        if tensor.element not in STORED or tensor.quantization is None:
            return None
        if len(tensor.quantization.scales) > 1:
            raise bad_quantization(self.path, str(tensor), "has several scales, and is no weight")
        storage = Storage(STORED[tensor.element], tensor.quantization.scales[0], tensor.quantization.zero_points[0])
        low, high = storage.bounds
        if not low <= storage.zero_point <= high or (storage.element == "i16" and storage.zero_point != 0):
            raise bad_quantization(self.path, str(tensor), f"has the zero point {storage.zero_point}")
        return storage

    def _resolved(self, tensor: int) -> int:
        while tensor in self.alias:
            tensor = self.alias[tensor]
        return tensor

    def _ordered(self) -> list[FlatOperator]:
        """Operators behind what they read; dequantized constants are taken out."""
        producers: dict[int, int] = {}
        remaining: list[FlatOperator] = []
        for operator in self.model.operators:
            if self._folded(operator):
                continue
            remaining.append(operator)
            for number in operator.outputs:
                if number in producers or number in self.constants or number in self.model.inputs:
                    raise damaged(self.path, f"tensor {self.model.tensors[number]} has two sources")
                producers[number] = operator.number
        done = {*self.constants, *self.model.inputs}
        ordered: list[FlatOperator] = []
        while remaining:
            waiting: list[FlatOperator] = []
            for operator in remaining:
                if all(number < 0 or number in done for number in operator.inputs):
                    ordered.append(operator)
                    done.update(operator.outputs)
                else:
                    waiting.append(operator)
            if len(waiting) == len(remaining):
                first = waiting[0]
                raise damaged(
                    self.path,
                    f"operator {first.number} ({first.code}) reads what nothing computes before it",
                )
            remaining = waiting
        return ordered

    def _folded(self, operator: FlatOperator) -> bool:
        """DEQUANTIZE of a constant: weights that are stored in fewer bits."""
        if operator.code != "DEQUANTIZE" or len(operator.inputs) != 1 or len(operator.outputs) != 1:
            return False
        constant = self.constants.get(operator.inputs[0])
        if constant is None:
            return False
        if constant.element == "FLOAT16":
            self.notes.append("weights were stored as float16: they are imported as float32, without loss")
        name = constant.name
        self.constants[operator.outputs[0]] = Constant(constant.real(), "FLOAT32", None, name)
        return True

    def _without_postprocess(
        self, operators: list[FlatOperator]
    ) -> tuple[list[FlatOperator], list[tuple[int, str, int]]]:
        """The network in front of the decoding of boxes; and (tensor, name, position among the outputs) of its ends."""
        found = [operator for operator in operators if operator.custom == POSTPROCESS]
        if not found:
            return operators, [(number, "", place) for place, number in enumerate(self.model.outputs)]
        (last, *more) = found
        if more or any(set(operator.inputs) & set(last.outputs) for operator in operators) or len(last.inputs) < 2:
            raise damaged(self.path, f"operator {last.number} ({POSTPROCESS}) is not at the end")
        self.notes.append(
            f"operator {last.number} ({POSTPROCESS}) decodes boxes and removes doubles: it is not imported, "
            "its operands `boxes` and `scores` are the outputs"
        )
        kept = [operator for operator in operators if operator is not last]
        others = [number for number in self.model.outputs if number not in last.outputs]
        ends = [(last.inputs[0], "boxes", -1), (last.inputs[1], "scores", 1)]
        return kept, [*ends, *((number, "", -1) for number in others)]

    def _needed(self, operators: list[FlatOperator], ends: Iterable[tuple[int, str, int]]) -> list[FlatOperator]:
        wanted = {number for number, _, _ in ends}
        kept = []
        for operator in reversed(operators):
            if wanted.intersection(operator.outputs):
                kept.append(operator)
                wanted.update(operator.inputs)
        if len(kept) < len(operators):
            self.notes.append(f"{len(operators) - len(kept)} operators compute nothing that is an output: left out")
        return kept[::-1]

    def _head(self, number: int, operators: Sequence[FlatOperator]) -> Head:
        """QUANTIZE and TRANSPOSE that alone read the input: the network behind them gets its pixels directly."""
        head = Head(number)
        while True:
            readers = [operator for operator in operators if head.last in operator.inputs]
            if len(readers) != 1 or not readers[0].outputs or readers[0].outputs[0] in self.model.outputs:
                return head
            (reader,) = readers
            behind = replace(head, last=reader.outputs[0], operators=(*head.operators, reader.number))
            if reader.code == "QUANTIZE" and head.quantize is None:
                head = replace(behind, quantize=reader)
            elif self._turns_around(reader) and not head.channels_first:
                head = replace(behind, channels_first=True)
            else:
                return head

    def _turns_around(self, operator: FlatOperator) -> bool:
        """TRANSPOSE from [1, C, H, W] to [1, H, W, C] of an image."""
        order = self.constants.get(operator.inputs[1]) if len(operator.inputs) == 2 else None
        shape = self.model.tensors[operator.outputs[0]].shape
        return (
            operator.code == "TRANSPOSE"
            and order is not None
            and order.array.reshape(-1).tolist() == [0, 2, 3, 1]
            and len(shape) == 4
            and shape[3] in IMAGE_CHANNELS
        )

    def _tail(
        self, operators: Sequence[FlatOperator], ends: Sequence[tuple[int, str, int]], taken: set[int]
    ) -> dict[int, tuple[int, Storage | str]]:
        """Conversions at the very end: output tensor -> the tensor in front of it, and what the caller gets."""
        rows: dict[int, tuple[int, Storage | str]] = {}
        for operator in operators:
            if operator.code not in ("QUANTIZE", "DEQUANTIZE") or operator.number in taken:
                continue
            number = operator.outputs[0]
            last = not any(number in other.inputs for other in operators)
            if last and number in {end for end, _, _ in ends}:
                storage = self.values[number].storage
                if operator.code == "QUANTIZE" and storage is not None:
                    rows[number] = (operator.inputs[0], storage)
                    taken.add(operator.number)
                elif operator.code == "DEQUANTIZE":
                    rows[number] = (operator.inputs[0], "f32")
                    taken.add(operator.number)
        return rows

    # Operators

    def _convert(self, operator: FlatOperator) -> Diagnostic | None:
        self.operator = operator.number
        try:
            if not operator.outputs or not operator.inputs or operator.inputs[0] < 0:
                raise damaged(self.path, f"operator {operator.number} ({operator.code}) has no input or no output")
            if operator.code == "QUANTIZE":
                self._requantize(operator)
                return None
            rule = RULES.get(operator.code)
            if rule is None:
                remedy = REMEDIES.get(operator.code, OTHERWISE)
                raise NotSupportedError("this operator is not in the language", remedy)
            if operator.inputs[0] in self.constants and rule not in (RULES["ADD"], RULES["MUL"], RULES["SUB"]):
                raise NotSupportedError("its input is a constant", "fold constants in the converter")
            if self.shape(operator.inputs[0])[:1] not in ((1,), ()) and operator.inputs[0] not in self.constants:
                raise NotSupportedError("it works on a batch", "convert the network for one image")
            rule(operator, self)
        except NotSupportedError as problem:
            return self._unsupported(operator, problem)
        except (KeyError, IndexError, ValueError, ZeroDivisionError):
            raise damaged(self.path, f"operator {operator.number} ({operator.code}) contradicts itself") from None
        return None

    def _requantize(self, operator: FlatOperator) -> None:
        """QUANTIZE between two layers: stores anew what a layer only moved or enlarged."""
        value = self._resolved(operator.inputs[0])
        storage = self.values[operator.outputs[0]].storage
        before = self.stored(value)
        readers = [other for other in self.model.operators if operator.inputs[0] in other.inputs]
        if storage is None or before is None:
            raise NotSupportedError("it quantizes in the middle of the network", "quantize the whole network")
        if before != storage:
            maker = next((layer for layer in self.layers if layer.output == value), None)
            if maker is None or maker.operation not in KEEPS_STORAGE or len(readers) > 1 or value in self.requantized:
                raise NotSupportedError(
                    "it stores the result of a layer a second time with other numbers",
                    "quantize the network so that this layer has one scale",
                )
            self.requantized[value] = Requantized(storage, operator.outputs[0])
        self.alias[operator.outputs[0]] = value

    def _unsupported(self, operator: FlatOperator, problem: NotSupportedError) -> Diagnostic:
        called = f"{operator.code} {operator.custom}".strip()
        reads = ", ".join(self._described(number) for number in operator.inputs[:3] if number >= 0)
        gives = ", ".join(self._described(number) for number in operator.outputs[:2])
        return error(
            "MN1704",
            f"operator {operator.number} ({called}) is not supported: {problem.why}",
            location=self.path,
            notes=(f"it reads {reads} and gives {gives}",),
            help=problem.remedy,
        )

    def _described(self, number: int) -> str:
        return str(self.model.tensors[number])

    def _labels(self, labels: Sequence[tuple[str, ...]], place: int, name: str, classes: int) -> tuple[str, ...]:
        found = labels[place] if 0 <= place < len(labels) else ()
        found = tuple(label or "???" for label in found)
        if name == "scores" and len(found) + 1 == classes:
            return ("background", *found)
        if found and len(found) != classes:
            self.notes.append(f"the metadata has {len(found)} labels for {classes} classes: left out")
            return ()
        return found


def _constant(tensor: FlatTensor) -> Constant:
    if tensor.element not in ELEMENTS:
        return Constant(np.zeros(0, np.float32), tensor.element, None, tensor.name)
    quantization: FlatQuantization | None = tensor.quantization
    if tensor.element not in ("INT8", "UINT8", "INT16", "INT32", "INT64"):
        quantization = None
    return Constant(tensor.array(), tensor.element, quantization, tensor.name)


def _stored_filter(filter: Constant, activations: Storage | None) -> Constant:
    """The filter in the type that goes with its activations; bytes are shifted where the file has the other sign."""
    quantization = filter.quantization
    if quantization is None or activations is None:
        raise NotSupportedError("its weights are float in a quantized network", "quantize the whole network")
    points = set(quantization.zero_points)
    unsigned = activations.element == "u8"
    if len(points) > 1 or (unsigned and len(quantization.scales) > 1):
        raise NotSupportedError("its filter has several scales where one is used", "quantize it again")
    if (filter.element == "UINT8") != unsigned:
        shift = 128 if unsigned else -128
        element, kind = ("UINT8", np.uint8) if unsigned else ("INT8", np.int8)
        moved = tuple(point + shift for point in quantization.zero_points)
        quantization = FlatQuantization(quantization.scales, moved, quantization.axis)
        points = set(moved)
        filter = Constant((filter.array.astype(np.int16) + shift).astype(kind), element, quantization, filter.name)
    low, high = (0, 255) if unsigned else (0, 0)
    if not all(low <= point <= high for point in points):
        raise NotSupportedError(f"its filter has the zero point {min(points)}", "quantize it again")
    return filter


_OUTPUT_NAMES = {"softmax": "probabilities", "argmax": "classes", "sigmoid": "scores", "dense": "logits"}


def named_outputs(
    outputs: Sequence[ImportOutput], layers: Sequence[Layer], values: dict[int, Value]
) -> tuple[ImportOutput, ...]:
    """Names from what computes them: `probabilities` behind a softmax, `logits` for features, `map` for maps."""
    makers = {layer.output: layer.operation for layer in layers}
    taken: set[str] = set()
    named = []
    for output in outputs:
        plain = "logits" if len(values[output.value].shape) == 2 else "map"
        wanted = output.name or _OUTPUT_NAMES.get(makers[output.value], plain)
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        taken.add(name)
        named.append(replace(output, name=name))
    return tuple(named)
