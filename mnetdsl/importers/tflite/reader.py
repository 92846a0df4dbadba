"""Reads a TensorFlow Lite file without believing it: every length, offset and number is checked before it is used.

Positions inside the file are followed by the generated code of the schema, on an immutable buffer: what points
outside raises there. Counts are bounded here, so that a small file cannot ask for much work.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.importers.tflite.flat import ELEMENTS, FlatModel, FlatOperator, FlatQuantization, FlatTensor
from mnetdsl.importers.tflite.problems import bad_quantization, damaged, unsupported_model
from mnetdsl.importers.tflite.schema import Schema, load_schema
from mnetdsl.ir.types import Shape

IDENTIFIER = b"TFL3"
MAX_OPERATORS = 20_000
MAX_TENSORS = 100_000
MAX_RANK = 8
MAX_OPERANDS = 1_000
MAX_NAME = 4_096
MAX_ELEMENTS = 2**31 - 1
MAX_CODES = 1_000
MAX_METADATA = 64
BROKEN = (struct.error, ValueError, IndexError, TypeError, OverflowError, AttributeError)
"""What the generated code raises on offsets and lengths that point outside the file."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "Conv2DOptions": (
        "Padding",
        "StrideW",
        "StrideH",
        "FusedActivationFunction",
        "DilationWFactor",
        "DilationHFactor",
    ),
    "DepthwiseConv2DOptions": (
        "Padding",
        "StrideW",
        "StrideH",
        "DepthMultiplier",
        "FusedActivationFunction",
        "DilationWFactor",
        "DilationHFactor",
    ),
    "Pool2DOptions": ("Padding", "StrideW", "StrideH", "FilterWidth", "FilterHeight", "FusedActivationFunction"),
    "FullyConnectedOptions": ("FusedActivationFunction", "WeightsFormat", "KeepNumDims"),
    "AddOptions": ("FusedActivationFunction",),
    "SubOptions": ("FusedActivationFunction",),
    "MulOptions": ("FusedActivationFunction",),
    "ConcatenationOptions": ("Axis", "FusedActivationFunction"),
    "SoftmaxOptions": ("Beta",),
    "ReducerOptions": ("KeepDims",),
    "ResizeBilinearOptions": ("AlignCorners", "HalfPixelCenters"),
    "ResizeNearestNeighborOptions": ("AlignCorners", "HalfPixelCenters"),
    "StridedSliceOptions": ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask"),
    "GeluOptions": ("Approximate",),
    "LeakyReluOptions": ("Alpha",),
}
"""Scalars of the options that are read; others are left where they are."""


def read_model(data: bytes, path: str) -> FlatModel:
    """The network in the file.

    Raises `MnetError`: MN1701 no package with the schema, MN1702 damaged, MN1703 scales that are none, MN1705 a model
    of another kind (several networks, encoded tensors).
    """
    schema = load_schema(path)
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        raise damaged(path, "its first bytes are not those of one (`TFL3`)" if data else "it is empty")
    try:
        return _Reader(data, path, schema).read()
    except BROKEN:
        raise damaged(path, "it ends too early, or places inside it point outside") from None
    except RecursionError:
        raise damaged(path, "its tables lie in each other without end") from None


class _Reader:
    def __init__(self, data: bytes, path: str, schema: Schema) -> None:
        self.data = data
        self.path = path
        self.schema = schema
        self.model = schema.module.Model.GetRootAs(data, 0)

    def read(self) -> FlatModel:
        subgraphs = self._count(self.model.SubgraphsLength(), 10_000, "subgraphs")
        if subgraphs == 0:
            raise damaged(self.path, "there is no network in it")
        graph = self.model.Subgraphs(0)
        tensors = tuple(
            self._tensor(graph, number) for number in range(self._count(graph.TensorsLength(), MAX_TENSORS, "tensors"))
        )
        codes = self._codes()
        count = len(tensors)
        operators = tuple(
            self._operator(graph.Operators(number), number, codes, count)
            for number in range(self._count(graph.OperatorsLength(), MAX_OPERATORS, "operators"))
        )
        inputs = self._numbers(graph.InputsLength(), graph.Inputs, count, "inputs")
        outputs = self._numbers(graph.OutputsLength(), graph.Outputs, count, "outputs")
        input_names, output_names = self._signature(count)
        return FlatModel(
            self.path,
            self._text(self.model.Description()),
            tensors,
            operators,
            inputs,
            outputs,
            subgraphs,
            input_names,
            output_names,
            self._metadata(),
        )

    # Pieces

    def _count(self, count: int, limit: int, what: str) -> int:
        if not 0 <= count <= min(limit, len(self.data)):
            raise damaged(self.path, f"it says that it has {count} {what}")
        return count

    def _text(self, value: bytes | None) -> str:
        if value is not None and len(value) > MAX_NAME:
            raise damaged(self.path, f"it has a name of {len(value)} bytes")
        return "" if value is None else value.decode("utf-8", "replace")

    def _numbers(
        self, length: int, item: Callable[[int], int], count: int, what: str, *, missing: bool = False
    ) -> tuple[int, ...]:
        """Numbers of tensors; `missing` allows -1 for one that is left out."""
        numbers = tuple(int(item(index)) for index in range(self._count(length, MAX_OPERANDS, what)))
        for number in numbers:
            if not (0 <= number < count or (missing and number == -1)):
                raise damaged(self.path, f"its {what} name tensor {number} of {count}")
        return numbers

    def _buffer(self, number: int) -> NDArray[np.uint8] | None:
        if not 0 <= number < self.model.BuffersLength():
            raise damaged(self.path, f"a tensor has its data in buffer {number} of {self.model.BuffersLength()}")
        buffer = self.model.Buffers(number)
        offset, size = int(buffer.Offset()), int(buffer.Size())
        if offset > 1 and size > 0:  # data behind the tables, in files above 2 GB
            if offset + size > len(self.data):
                raise damaged(self.path, f"buffer {number} reaches beyond the end of the file")
            return np.frombuffer(self.data, np.uint8, size, offset)
        if buffer.DataIsNone() or buffer.DataLength() == 0:
            return None
        view: NDArray[np.uint8] = buffer.DataAsNumpy()
        return view

    def _tensor(self, graph: Any, number: int) -> FlatTensor:
        flat = graph.Tensors(number)
        name = self._text(flat.Name())
        called = f"{number} (`{name}`)"
        rank = flat.ShapeLength()
        if not 0 <= rank <= MAX_RANK:
            raise damaged(self.path, f"tensor {called} has {rank} dimensions")
        shape = tuple(int(flat.Shape(index)) for index in range(rank))
        if any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS:
            raise damaged(self.path, f"tensor {called} says that its shape is {'x'.join(map(str, shape))}")
        element = self.schema.elements.get(flat.Type())
        if element is None:
            raise damaged(self.path, f"tensor {called} has the unknown element type {flat.Type()}")
        data = self._buffer(int(flat.Buffer()))
        sparse = flat.Sparsity() is not None
        if data is not None and element in ELEMENTS and not sparse:
            wanted = math.prod(shape) * ELEMENTS[element][1]
            if len(data) != wanted:
                raise damaged(self.path, f"tensor {called} has {len(data)} bytes, its shape needs {wanted}")
        quantization = self._quantization(flat.Quantization(), called, shape)
        return FlatTensor(number, name, shape, element, quantization, data, sparse, bool(flat.IsVariable()))

    def _quantization(self, flat: Any, called: str, shape: Shape) -> FlatQuantization | None:
        if flat is None or flat.ScaleLength() == 0:
            return None
        count = self._count(flat.ScaleLength(), len(self.data) // 4, "scales")
        scales = tuple(float(scale) for scale in flat.ScaleAsNumpy())
        given = int(flat.ZeroPointLength())
        if given not in (0, 1, count):
            raise bad_quantization(self.path, called, f"has {count} scales and {given} zero points")
        points = tuple(int(point) for point in flat.ZeroPointAsNumpy()) if given else (0,)
        for scale in scales:
            if not math.isfinite(scale) or scale < 0:
                raise bad_quantization(self.path, called, f"has the scale {scale}")
            if scale == 0:
                raise bad_quantization(self.path, called, "has a scale of 0: all its values would be the same")
        axis = int(flat.QuantizedDimension())
        if count > 1:
            if len(shape) == 1 and shape[0] == count:
                axis = 0  # converters have written 3 here for the bias of a depthwise convolution
            if not 0 <= axis < len(shape) or shape[axis] != count:
                raise bad_quantization(
                    self.path, called, f"has {count} scales along dimension {axis} of {'x'.join(map(str, shape))}"
                )
        return FlatQuantization(scales, points if len(points) == count else points * count, axis if count > 1 else 0)

    def _codes(self) -> tuple[tuple[str, str, int], ...]:
        codes = []
        for number in range(self._count(self.model.OperatorCodesLength(), MAX_CODES, "kinds of operators")):
            flat = self.model.OperatorCodes(number)
            # Codes up to 127 stand in the older field, larger ones in the newer.
            builtin = max(int(flat.BuiltinCode()), int(flat.DeprecatedBuiltinCode()))
            name = self.schema.operators.get(builtin, f"operator code {builtin}")
            codes.append((name, self._text(flat.CustomCode()), int(flat.Version())))
        return tuple(codes)

    def _operator(self, flat: Any, number: int, codes: tuple[tuple[str, str, int], ...], tensors: int) -> FlatOperator:
        index = int(flat.OpcodeIndex())
        if not 0 <= index < len(codes):
            raise damaged(self.path, f"operator {number} is of kind {index} of {len(codes)}")
        code, custom, version = codes[index]
        inputs = self._numbers(flat.InputsLength(), flat.Inputs, tensors, f"inputs of operator {number}", missing=True)
        outputs = self._numbers(flat.OutputsLength(), flat.Outputs, tensors, f"outputs of operator {number}")
        return FlatOperator(number, code, custom, version, inputs, outputs, self._options(flat))

    def _options(self, flat: Any) -> dict[str, int | float | bool]:
        kind = self.schema.options.get(flat.BuiltinOptionsType(), "")
        table = flat.BuiltinOptions()
        if table is None or kind not in OPTIONS:
            return {}
        options = getattr(self.schema.module, kind)()
        options.Init(table.Bytes, table.Pos)
        return {name: getattr(options, name)() for name in OPTIONS[kind]}

    def _signature(self, tensors: int) -> tuple[dict[int, str], dict[int, str]]:
        """Names of inputs and outputs that the first signature of the network itself gives them."""
        if self.model.SignatureDefsLength() == 0:
            return {}, {}
        flat = self.model.SignatureDefs(0)
        names: list[dict[int, str]] = []
        for length, item in ((flat.InputsLength(), flat.Inputs), (flat.OutputsLength(), flat.Outputs)):
            found = {}
            for index in range(self._count(length, MAX_OPERANDS, "names of a signature")):
                entry = item(index)
                if 0 <= entry.TensorIndex() < tensors:
                    found[int(entry.TensorIndex())] = self._text(entry.Name())
            names.append(found)
        return names[0], names[1]

    def _metadata(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for number in range(self._count(self.model.MetadataLength(), MAX_METADATA, "pieces of metadata")):
            entry = self.model.Metadata(number)
            data = self._buffer(int(entry.Buffer()))
            if data is not None:
                found[self._text(entry.Name())] = data.tobytes()
        return found


def require_plain(model: FlatModel) -> None:
    """Raises MN1705 for what is not one network of plain tensors."""
    for tensor in model.tensors:
        if tensor.sparse:
            why = f"tensor {tensor} is stored sparse"
            raise unsupported_model(model.path, why, "convert it without pruning's sparse encoding")
        if tensor.variable:
            why = f"tensor {tensor} keeps its value from one image to the next"
            raise unsupported_model(model.path, why, "only networks without memory are imported")
