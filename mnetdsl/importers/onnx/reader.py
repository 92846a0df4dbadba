"""Reads an ONNX file without believing it: counts, shapes and lengths are checked before anything is made of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mnetdsl.diagnostics import MnetError
from mnetdsl.files import MAX_WEIGHTS, format_size
from mnetdsl.importers.onnx.external import external_bytes
from mnetdsl.importers.onnx.flat import Array, Attribute, FlatPort, Node, OnnxModel
from mnetdsl.importers.onnx.problems import damaged, missing_package
from mnetdsl.importers.onnx.wire import check_size
from mnetdsl.importers.tflite.problems import unsupported_model
from mnetdsl.ir.types import Shape

MAX_NODES = 20_000
MAX_RANK = 8
MAX_OPERANDS = 1_000
MAX_NAME = 4_096
MAX_ENTRY = 1 << 20
MAX_ELEMENTS = 2**31 - 1
OLDEST_OPSET = 7
"""Operators broadcast as they do today since version 7."""
NEWEST_OPSET = 26
OWN_DOMAINS = ("", "ai.onnx")
CONSTANT_KINDS = (
    "FLOAT",
    "UINT8",
    "INT8",
    "UINT16",
    "INT16",
    "INT32",
    "INT64",
    "BOOL",
    "FLOAT16",
    "DOUBLE",
    "UINT32",
    "BFLOAT16",
)
"""Element types of constants that are read."""


def read_model(data: bytes, path: str, folder: Path | None = None) -> OnnxModel:
    """The graph in the file. Weights in other files are read from `folder` and nowhere else.

    Raises `MnetError`: MN1706 no package, MN1707 damaged, MN1708 weights that lie elsewhere, MN1705 a model of another
    kind.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise MnetError(missing_package(path)) from None
    if not data:
        raise damaged(path, "it is empty")
    try:
        check_size(data)
        proto = onnx.ModelProto.FromString(data)
    except ValueError as problem:
        raise damaged(path, (str(problem).strip() or "its encoding is broken").splitlines()[0]) from None
    except DecodeError:
        raise damaged(path, "its encoding is not that of protocol buffers, or is broken") from None
    try:
        return _Reader(proto, path, folder).read()
    except (TypeError, OverflowError, UnicodeError, ValueError) as problem:
        raise damaged(
            path, str(problem).strip().splitlines()[0] if str(problem) else "a value is out of range"
        ) from None


class _Reader:
    def __init__(self, proto: Any, path: str, folder: Path | None) -> None:
        import onnx

        self.proto = proto
        self.path = path
        self.folder = folder
        self.external = 0
        self.kinds = {number: name for name, number in onnx.TensorProto.DataType.items()}
        self.types = {number: name for name, number in onnx.AttributeProto.AttributeType.items()}

    def read(self) -> OnnxModel:
        graph = self.proto.graph
        if not graph.node:
            raise damaged(self.path, "there is no network in it")
        if len(graph.node) > MAX_NODES:
            raise damaged(self.path, f"it says that it has {len(graph.node)} operators")
        if graph.sparse_initializer:
            raise unsupported_model(self.path, "it has sparse weights", "export it with plain weights")
        constants: dict[str, Array] = {}
        for tensor in graph.initializer:
            if self._text(tensor.name) in constants:
                raise damaged(self.path, f"`{tensor.name}` stands twice among its weights")
            constants[tensor.name] = self._array(tensor, tensor.name)
        nodes = tuple(self._node(node, number) for number, node in enumerate(graph.node))
        self._check_order(nodes, constants, {port.name for port in graph.input})
        return OnnxModel(
            self.path,
            self._text(self.proto.producer_name),
            self._opset(),
            nodes,
            constants,
            tuple(self._port(port) for port in graph.input if port.name not in constants),
            tuple(self._port(port) for port in graph.output),
            self._metadata(),
        )

    def _metadata(self) -> dict[str, str]:
        """Entries of a size that anything is read from."""
        entries = self.proto.metadata_props[:MAX_OPERANDS]
        return {
            entry.key: entry.value for entry in entries if len(entry.key) <= MAX_NAME and len(entry.value) <= MAX_ENTRY
        }

    def _opset(self) -> int:
        found = [entry.version for entry in self.proto.opset_import if entry.domain in OWN_DOMAINS]
        if len(found) != 1:
            raise damaged(self.path, "it does not say which version of the operators it uses")
        (opset,) = found
        if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
            raise unsupported_model(
                self.path,
                f"it uses version {opset} of the operators, {OLDEST_OPSET} to {NEWEST_OPSET} are read",
                "convert it by onnx.version_converter, or export it again with opset_version=18",
            )
        return int(opset)

    def _text(self, value: str) -> str:
        if len(value) > MAX_NAME:
            raise damaged(self.path, f"it has a name of {len(value)} letters")
        return value

    def _shape(self, sizes: Iterable[int], what: str) -> Shape:
        shape = tuple(int(size) for size in sizes)
        if len(shape) > MAX_RANK:
            raise damaged(self.path, f"{what} has {len(shape)} dimensions")
        if any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS:
            raise damaged(self.path, f"{what} says that its shape is {'x'.join(map(str, shape))}")
        return shape

    def _array(self, tensor: Any, name: str) -> Array:
        import numpy as np
        from onnx import TensorProto, numpy_helper

        kind = self.kinds.get(tensor.data_type, str(tensor.data_type))
        if kind not in CONSTANT_KINDS:
            raise unsupported_model(self.path, f"`{name}` is {kind.lower()}", "export it in float32 or int8")
        shape = self._shape(tensor.dims, f"`{name}`")
        tensor_type = np.dtype(np.uint16) if kind == "BFLOAT16" else np.dtype(numpy_type(kind))
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            needed = math.prod(shape) * tensor_type.itemsize
            self.external += needed
            if self.external > MAX_WEIGHTS:
                raise damaged(self.path, f"its weights take more than {format_size(MAX_WEIGHTS)}")
            tensor.raw_data = external_bytes(tensor, name, needed, self.folder, self.path)
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
        if tensor.HasField("raw_data"):
            found, wanted, unit = len(tensor.raw_data), math.prod(shape) * tensor_type.itemsize, "bytes"
        else:
            field = {"FLOAT": "float_data", "DOUBLE": "double_data", "INT64": "int64_data", "UINT32": "uint64_data"}
            found, wanted, unit = len(getattr(tensor, field.get(kind, "int32_data"))), math.prod(shape), "values"
        if found != wanted:
            raise damaged(self.path, f"`{name}` has {found} {unit}, its shape needs {wanted}")
        array = np.asarray(numpy_helper.to_array(tensor))
        return array.astype(np.float32) if kind in ("FLOAT16", "DOUBLE", "BFLOAT16") else array

    def _attribute(self, attribute: Any) -> Attribute | None:
        """None for graphs, which no imported operator has."""
        match self.types.get(attribute.type, ""):
            case "INT":
                return int(attribute.i)
            case "FLOAT":
                return float(attribute.f)
            case "STRING":
                return self._text(attribute.s.decode("utf-8", "replace"))
            case "TENSOR":
                return self._array(attribute.t, attribute.name)
            case "INTS":
                return tuple(int(item) for item in attribute.ints)
            case "FLOATS":
                return tuple(float(item) for item in attribute.floats)
            case "STRINGS":
                return tuple(item.decode("utf-8", "replace") for item in attribute.strings)
            case _:
                return None

    def _node(self, node: Any, number: int) -> Node:
        if max(len(node.input), len(node.output), len(node.attribute)) > MAX_OPERANDS:
            raise damaged(self.path, f"operator {number} has more than {MAX_OPERANDS} operands or attributes")
        kind = self._text(node.op_type) if node.domain in OWN_DOMAINS else self._text(f"{node.domain}.{node.op_type}")
        attributes = {
            self._text(attribute.name): value
            for attribute in node.attribute
            if (value := self._attribute(attribute)) is not None
        }
        names = (tuple(map(self._text, node.input)), tuple(map(self._text, node.output)))
        return Node(number, kind, self._text(node.name), *names, attributes)

    def _check_order(self, nodes: tuple[Node, ...], constants: dict[str, Array], inputs: set[str]) -> None:
        known = {*constants, *inputs, ""}
        for node in nodes:
            for name in node.inputs:
                if name not in known:
                    raise damaged(
                        self.path,
                        f"operator {node.number} ({node.kind}) reads `{name}`, which nothing computes before it",
                    )
            for name in node.outputs:
                if name and name in known:
                    raise damaged(self.path, f"`{name}` has two sources")
                known.add(name)

    def _port(self, port: Any) -> FlatPort:
        name = self._text(port.name)
        if not port.type.HasField("tensor_type"):
            raise unsupported_model(self.path, f"`{name}` is no tensor", "export the network with tensors only")
        type = port.type.tensor_type
        sizes = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in type.shape.dim]
        return FlatPort(name, self._shape(sizes, f"`{name}`"), self.kinds.get(type.elem_type, "UNDEFINED"))


def numpy_type(kind: str) -> str:
    """NumPy's name of ONNX's element type."""
    return {"FLOAT": "float32", "DOUBLE": "float64", "BOOL": "bool"}.get(kind, kind.lower())
