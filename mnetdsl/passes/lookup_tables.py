"""Tables of functions of 8-bit numbers: each of the 256 stored numbers through the operations they stand for.

The operations themselves are evaluated by the interpreter, so a table is right by construction, whatever the function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from mnetdsl.ir.core import Op, ShapeError, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.derivation import Derivation
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType, Quantization, Storage, TensorType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FUNCTION = "lookup_table"
ENTRIES = 256
SIDES = ("left", "right")
"""Names of the operands of operations with two."""


def table_derivation(
    operations: Sequence[Op], input: Value, channels: int | None, constant: Constant | None = None
) -> Derivation:
    """The table of `operations`, each reading the result of the one before, on `input`, which the first one reads.

    `channels`: the table is [channels, 256], since the function differs by channel; else [256]. `constant`: the other
    operand of the first operation where that has two.
    """
    attributes: dict[str, AttributeValue] = {
        "channels": 0 if channels is None else channels,
        **_storage_attributes("input", input.type.storage),
    }
    if constant is not None:
        attributes["constant"] = next(side for side in SIDES if constant.result in operations[0].operand_group(side))
        attributes |= _storage_attributes("constant", constant.type.storage)
    for number, op in enumerate(operations):
        attributes[f"step{number}"] = op.opcode
        attributes |= {f"step{number}.{name}": value for name, value in op.attributes.items()}
        attributes |= {} if op.storage is None else _storage_attributes(f"step{number}", op.storage)
    constants = [] if constant is None else [constant]
    return Derivation(
        FUNCTION,
        tuple(found.resource for found in constants),
        tuple(found.type for found in constants),
        attributes=tuple(sorted(attributes.items())),
    )


def lookup_table(arrays: list[Array], attributes: Mapping[str, AttributeValue]) -> Array:
    """The table that `table_derivation` describes; raises `ShapeError` where the attributes are malformed."""
    import numpy as np

    from mnetdsl.interpreter import evaluate_op

    channels = _count(attributes)
    storage = _storage(attributes, "input")
    if storage is None or storage.element.byte_width != 1:
        raise ShapeError("a table is one of 8-bit numbers", "input")
    stored = np.arange(ENTRIES, dtype=np.uint8).view(storage.element.dtype)
    value = Value(TensorType((1, ENTRIES, max(channels, 1))).stored_as(storage))
    array = np.ascontiguousarray(np.broadcast_to(stored[None, :, None], value.type.shape))
    number, constant = 0, _constant(arrays, attributes)
    while f"step{number}" in attributes:
        op = _operation(attributes, f"step{number}", value, constant if number == 0 else {})
        others = iter(arrays)
        read = [array if operand is value else _flat(next(others), operand) for operand in op.operands]
        array, value, number = evaluate_op(op, read, {}), op.result, number + 1
    table = np.ascontiguousarray(array[0].T).astype(np.float64)
    return table if channels else table[0]


def _constant(arrays: list[Array], attributes: Mapping[str, AttributeValue]) -> dict[str, Value]:
    """The constant operand of the first step by its name, where there is one."""
    side = attributes.get("constant")
    if side is None:
        return {}
    storage = _storage(attributes, "constant")
    if side not in SIDES or storage is None or len(arrays) != 1 or arrays[0].size != 1:
        raise ShapeError("the constant operand of a table is one number at the left or the right", "input")
    return {str(side): Value(TensorType((1, 1, 1)).stored_as(storage))}


def _flat(array: Array, operand: Value) -> Array:
    numbers: Array = array.reshape(operand.type.shape).astype(operand.type.element.dtype)
    return numbers


def _operation(attributes: Mapping[str, AttributeValue], step: str, value: Value, constant: Mapping[str, Value]) -> Op:
    """The operation of a step on `value`, and on `constant` where it has two operands."""
    kind = OPERATIONS.get(str(attributes[step]))
    own = {key.removeprefix(f"{step}."): item for key, item in attributes.items() if key.startswith(f"{step}.")}
    plain = {key: item for key, item in own.items() if key not in ("element", "scale", "zero_point")}
    names = {definition.name for definition in kind.operand_defs} if kind is not None else set()
    if kind is None or len(names) != 1 + len(constant) or not names <= {"input", *SIDES}:
        raise ShapeError(f"`{attributes[step]}` is no function of one tensor", "input")
    operands = {name: constant.get(name, value) for name in names}
    try:
        return kind(operands, plain, storage=_storage(attributes, step))
    except ValueError as problem:
        raise ShapeError(str(problem), "input") from None


def _storage_attributes(prefix: str, storage: Storage) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {f"{prefix}.element": storage.element.value}
    if storage.quantization is not None:
        attributes[f"{prefix}.scale"] = storage.quantization.scale
        attributes[f"{prefix}.zero_point"] = storage.quantization.zero_point
    return attributes


def _storage(attributes: Mapping[str, AttributeValue], prefix: str) -> Storage | None:
    element = attributes.get(f"{prefix}.element")
    if element is None:
        return None
    scale, zero_point = attributes.get(f"{prefix}.scale"), attributes.get(f"{prefix}.zero_point")
    if element not in [known.value for known in ElementType]:
        raise ShapeError(f"there is no element {element!r}", "input")
    if scale is None and zero_point is None:
        return Storage(ElementType(element))
    pairs = isinstance(scale, tuple) and isinstance(zero_point, tuple) and len(scale) == len(zero_point) == 1
    if not pairs:
        raise ShapeError("a table needs one scale and one zero point", "input")
    return Storage(ElementType(element), Quantization(*cast("tuple[tuple[float], tuple[int]]", (scale, zero_point))))


def _count(attributes: Mapping[str, AttributeValue]) -> int:
    channels = attributes.get("channels")
    if type(channels) is not int or not 0 <= channels <= 65536:
        raise ShapeError(f"a table has no {channels!r} channels", "input")
    return channels
