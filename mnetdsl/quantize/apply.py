"""From the float graph and a table of quantized tensors to the quantized graph (docs/decisions/0007).

Needs no weights: the quantized graph names other ones, int8 where the float graph has float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.diagnostics.suggest import meant
from mnetdsl.ir.builder import Builder
from mnetdsl.ir.clone import clone, clone_op
from mnetdsl.ir.core import Module, Op, OperandArgument, Value
from mnetdsl.ir.derivation import NUMBERS
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.quantize import Dequantize, Quantize, Requantize
from mnetdsl.ir.ops.softmax import Softmax
from mnetdsl.ir.ops.unary import UnaryOp
from mnetdsl.ir.types import ElementType, Quantization, Storage, TensorType
from mnetdsl.ir.verifier import FOLLOWING, verify
from mnetdsl.passes.pass_manager import run_passes
from mnetdsl.passes.pipelines import QUANTIZABLE
from mnetdsl.sema.quantization import QuantizedTensor, float32

INDICES = frozenset({"argmax"})
"""Operations whose result is no quantity, and has no scale."""

FLOAT_ONLY = frozenset({"layer_norm", "matmul", "batch_norm"})
"""Operations without an integer form: their row says `compute` f32."""

WEIGHTED = (Conv2d, DepthwiseConv2d, Dense)
OUTPUT_PREFIX = "output "


def quantizable(module: Module) -> Module:
    """The float graph whose tensors a table names: folded, every layer under its name, as a new module."""
    result = clone(module)
    run_passes(result, QUANTIZABLE)
    return result


def tensor_names(module: Module) -> list[str]:
    """The tensors of a `quantizable` module that need a row, in order."""
    return [name for name, _ in named_tensors(module)]


def named_tensors(module: Module) -> list[tuple[str, Value]]:
    """The tensors of a `quantizable` module that need a row, with the float value that each stands for.

    Inputs of float32 without preprocessing, declared images, results of layers, constants that are operands.
    """
    found: dict[str, Value] = {}
    for port in module.graph.inputs:
        if port.value.type.element is ElementType.F32 and any(u.opcode != "normalize" for u in port.value.users):
            found[port.name] = port.value
    for op in module.graph.operations:
        if isinstance(op, Constant):
            if op.type.element is ElementType.F32 and any(_as_activation(user, op.result) for user in op.result.users):
                found[op.resource] = op.result
        elif op.opcode not in FOLLOWING | INDICES:
            found[op.name] = op.result
    return list(found.items())


def _as_activation(user: Op, value: Value) -> bool:
    weights = ("filter", "bias", "scale", "offset", "mean", "variance")
    return any(value in user.operand_group(d.name) for d in user.operand_defs if d.name not in weights)


def apply_quantization(module: Module, tensors: Iterable[QuantizedTensor], file: str = "") -> Module:
    """The quantized graph of `module` as built, without weights.

    Raises `MnetError`: MN1802 for a row whose tensor the network has not, MN1803 for a tensor without row, MN1805 for
    a layer that has no integer form. `file` says in messages where the table stands.
    """
    source = quantizable(module)
    rows = {tensor.name: tensor for tensor in tensors}
    _check(source, rows, file)
    target = Module(module.name)
    _Quantizer(source, target, rows).run()
    verify(target)
    return target


def _check(source: Module, rows: Mapping[str, QuantizedTensor], file: str) -> None:
    needed = tensor_names(source)
    following = [op.name for op in source.graph.operations if op.opcode in FOLLOWING]
    outputs = [f"{OUTPUT_PREFIX}{port.name}" for port in source.graph.outputs]
    known = {*needed, *following, *outputs}
    problems = []
    for name, row in rows.items():
        if name not in known:
            problems.append(
                error(
                    "MN1802",
                    f"`{source.name}` has no tensor `{name}`",
                    at=row.span,
                    label=meant(name, sorted(known)),
                    help="a layer with its norm and its clamp is one tensor; `mnet quantize` writes the table anew",
                )
            )
    missing = [name for name in needed if name not in rows]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        problems.append(
            error(
                "MN1803",
                f"the quantization of `{source.name}` lacks {', '.join(f'`{name}`' for name in missing[:5])}{more}",
                location=file,
                help="each tensor has a row; `mnet quantize` writes the table anew",
            )
        )
    for op in source.graph.operations:
        wanted = rows.get(op.name)
        if op.opcode in FLOAT_ONLY and wanted is not None and not wanted.in_float:
            problems.append(
                error(
                    "MN1805",
                    f"`{op.opcode}` has no integer form, and `{op.name}` is to be quantized",
                    at=wanted.span,
                    help="let it compute in float: a column `compute` that says `f32` in this row",
                )
            )
    if problems:
        raise MnetError(*problems)


class _Quantizer:
    """Copies the float graph, operation by operation, into one on stored numbers."""

    def __init__(self, source: Module, target: Module, rows: Mapping[str, QuantizedTensor]) -> None:
        self.source = source
        self.target = target
        self.rows = rows
        self.builder = Builder(target.graph)
        self.stored: dict[Value, Value] = {}
        self.real: dict[Value, Value] = {}

    def run(self) -> None:
        for port in self.source.graph.inputs:
            copy = self.builder.input(port.name, port.value.type, port.location)
            copy.attributes |= port.attributes
            self.real[port.value] = copy.value
            if port.name in self.rows and port.value.type.element is ElementType.F32 and port.value.users:
                self.stored[port.value] = self._quantized(copy.value, self.rows[port.name].storage, port.location)
        for op in self.source.graph.operations:
            if not isinstance(op, Constant):
                self._operation(op)
        for output in self.source.graph.outputs:
            row = self.rows.get(f"{OUTPUT_PREFIX}{output.name}")
            value = self._as_stored(output.value)
            if row is not None:
                value = self._converted(value, row.storage, output.location.named(f"{output.name}.requantize"))
            copy = self.builder.output(output.name, value, output.location)
            copy.attributes |= output.attributes

    def _operation(self, op: Op) -> None:
        row = self.rows.get(op.name)
        if op.opcode == "normalize" or (row is not None and row.in_float):
            self.real[op.result] = self._in_float(op)
            if row is not None:
                self.stored[op.result] = self._quantized(self.real[op.result], row.storage, op.location)
        elif op.opcode in FOLLOWING | INDICES:
            result = self._copied(op, self._operands(op), None)
            if row is not None and row.storage != result.type.storage:
                result = self._converted(result, row.storage, op.location.named(f"{op.name}.requantize"))
            self.stored[op.result] = result
        elif row is not None and self._narrows(op, row):
            wide = type(op)(
                self._operands(op), op.attributes, op.location.named(f"{op.name}.wide"), _wider(row.storage)
            )
            self.target.graph.operations.append(wide)
            self.stored[op.result] = self._converted(wide.result, row.storage, op.location)
        elif row is not None:
            if isinstance(op, Softmax):
                self._check_softmax(op, row)
            if isinstance(op, WEIGHTED):
                operands = self._weighted(op, row)
            else:
                operands = self._of_one_width(op) if isinstance(op, Elementwise) else self._operands(op)
            self.stored[op.result] = self._copied(op, operands, row.storage)

    def _narrows(self, op: Op, row: QuantizedTensor) -> bool:
        """Whether `op` is a table of 16-bit numbers whose results are to be stored in 8: tables keep their type."""
        if not isinstance(op, UnaryOp) or row.storage.element is ElementType.I16:
            return False
        return self._as_stored(op.input).type.element is ElementType.I16

    def _check_softmax(self, op: Softmax, row: QuantizedTensor) -> None:
        """Raises MN1805 where numbers of 16 bits go in or come out: its integer form is one of 8."""
        if ElementType.I16 in (self._as_stored(op.input).type.element, row.storage.element):
            raise MnetError(
                error(
                    "MN1805",
                    f"`softmax` has no integer form of 16 bits, and `{op.name}` reads or gives such numbers",
                    at=row.span,
                    help="let it compute in float: a column `compute` that says `f32` in this row",
                )
            )

    def _copied(self, op: Op, operands: Mapping[str, OperandArgument], storage: Storage | None) -> Value:
        copy = type(op)(operands, op.attributes, op.location, storage)
        self.target.graph.operations.append(copy)
        return copy.result

    def _operands(self, op: Op) -> dict[str, OperandArgument]:
        return {d.name: [self._as_stored(value) for value in op.operand_group(d.name)] for d in op.operand_defs}

    def _of_one_width(self, op: Elementwise) -> dict[str, OperandArgument]:
        """Operands of 8 bits beside one of 16 in 16 as well, on their own scale and less their zero point: exactly."""
        values = {"left": self._as_stored(op.left), "right": self._as_stored(op.right)}
        if all(value.type.element is not ElementType.I16 for value in values.values()):
            return dict(values)
        found: dict[str, OperandArgument] = {}
        for name, value in values.items():
            quantization = value.type.quantization
            assert quantization is not None
            wide = Storage(ElementType.I16, Quantization.per_tensor(quantization.scale[0], 0))
            location = op.location.named(f"{op.name}.{name}")
            found[name] = value if value.type.element is ElementType.I16 else self._converted(value, wide, location)
        return found

    def _weighted(self, op: Conv2d | DepthwiseConv2d | Dense, row: QuantizedTensor) -> dict[str, OperandArgument]:
        value = self._as_stored(op.input)
        unsigned = value.type.element is ElementType.U8
        wide = value.type.element is ElementType.I16
        operands: dict[str, OperandArgument] = {"input": value}
        element = ElementType.U8 if unsigned else ElementType.I8
        operands["filter"] = self._weight(op, "weight", op.filter.type.shape, element)
        outputs = op.type.shape[-1]
        if op.bias is not None:
            operands["bias"] = self._weight(op, "bias", (outputs,), ElementType.I64 if wide else ElementType.I32)
        scales = 1 if row.per_tensor else outputs
        operands["filter_scale"] = self._weight(op, "weight_scale", (scales,), ElementType.F32)
        if unsigned:
            operands["filter_zero_point"] = self._weight(op, "weight_zero_point", (1,), element)
        return operands

    def _weight(self, op: Op, key: str, shape: tuple[int, ...], element: ElementType) -> Value:
        name = f"{op.name}.{key}"
        return self.builder.constant(name, shape, element, op.location.named(name))

    def _in_float(self, op: Op) -> Value:
        """`op` on real numbers; weights that passes folded are asked for under the layer's own name."""
        operands: dict[str, OperandArgument] = {}
        for definition in op.operand_defs:
            group = []
            for value in op.operand_group(definition.name):
                producer = value.producer
                if isinstance(producer, Constant) and isinstance(op, WEIGHTED):
                    key = "weight" if definition.name == "filter" else definition.name
                    group.append(self._weight(op, key, producer.shape, ElementType.F32))
                else:
                    group.append(self._as_real(value))
            operands[definition.name] = group
        return self._copied(op, operands, None)

    def _as_stored(self, value: Value) -> Value:
        if value not in self.stored:
            producer = value.producer
            if isinstance(producer, Constant):
                row = self.rows.get(producer.resource)
                copy = clone_op(producer, {})
                if row is not None:
                    attributes = producer.attributes | {"element": row.storage.element.value}
                    copy = Constant({}, attributes, producer.location, row.storage)
                self.target.graph.operations.append(copy)
                self.stored[value] = copy.result
            else:
                return self.real[value]
        return self.stored[value]

    def _as_real(self, value: Value) -> Value:
        if value not in self.real:
            producer = value.producer
            if isinstance(producer, Constant):
                copy = clone_op(producer, {})
                self.target.graph.operations.append(copy)
                self.real[value] = copy.result
                derivation = self.source.derived.get(producer.resource)
                if derivation is not None and derivation.function == NUMBERS:
                    self.target.derived[producer.resource] = derivation
            else:
                stored = self.stored[value]
                place = Location() if producer is None else producer.location
                at = place.named(f"{place.name}.dequantize")
                self.real[value] = self.builder.add(Dequantize, at, {"input": stored}).result
        return self.real[value]

    def _quantized(self, value: Value, storage: Storage, location: Location) -> Value:
        op = Quantize({"input": value}, {}, location.named(f"{location.name}.quantize"), storage)
        self.target.graph.operations.append(op)
        return op.result

    def _converted(self, value: Value, storage: Storage, location: Location) -> Value:
        if value.type.storage == storage:
            return value
        if storage.quantization is None:
            return self.builder.add(Dequantize, location, {"input": value}).result
        op = Requantize({"input": value}, {}, location, storage)
        self.target.graph.operations.append(op)
        return op.result


def _wider(storage: Storage) -> Storage:
    """16 bits for the numbers that `storage` holds in 8."""
    assert storage.quantization is not None
    scale, zero_point = storage.quantization.scale[0], storage.quantization.zero_point[0]
    first = 0 if storage.element is ElementType.U8 else -128
    largest = max(zero_point - first, first + 255 - zero_point) * scale
    return Storage(ElementType.I16, Quantization.per_tensor(float32(largest / 32767), 0))


def stored_type(module: Module, name: str) -> TensorType | None:
    """The type under which a quantized `module` stores the layer `name`."""
    return next((op.type for op in module.graph.operations if op.name == name and op.type.quantization), None)
