"""Sums, differences and products, of two tensors or of a tensor and numbers that the text states."""

from __future__ import annotations

from mnetdsl.diagnostics import error
from mnetdsl.ir.core import OperandArgument
from mnetdsl.ir.derivation import Derivation, numbers_derivation
from mnetdsl.ir.types import TensorType
from mnetdsl.sema.arithmetic import is_number
from mnetdsl.sema.layers import Layers
from mnetdsl.sema.report import Reported
from mnetdsl.sema.values import Tensor, Value, describe
from mnetdsl.source import Span

TENSOR_OPERATORS = {"+": "add", "-": "sub", "*": "mul"}
LARGEST = 3.4028234663852886e38
"""Of float32."""


def combines(symbol: str, left: Value, right: Value) -> bool:
    """Whether an operator of the text makes a layer: one side is a tensor, the other a tensor or numbers."""
    sides = (left, right)
    return (
        symbol in TENSOR_OPERATORS
        and any(isinstance(side, Tensor) for side in sides)
        and all(isinstance(side, Tensor) or _numbers(side) is not None for side in sides)
    )


def pair(
    layers: Layers, opcode: str, label: str | None, span: Span, sides: dict[str, Value], blame: dict[str, Span]
) -> Tensor:
    """The layer `opcode` of the operands `sides`, of which one is a tensor at least; a list of numbers has one for
    each channel. `blame`: where they stand."""
    tensors = {name: side for name, side in sides.items() if isinstance(side, Tensor)}
    if not tensors:
        values = " and ".join(describe(side) for side in sides.values())
        raise layers.report.stop(
            error(
                "MN0301",
                f"`{opcode}` needs a tensor, got {values}",
                at=span,
                help="numbers are added and multiplied by `+` and `*`",
            )
        )
    type = next(iter(tensors.values())).type
    numbers = {
        name: _constant(layers, opcode, side, type, blame.get(name, span))
        for name, side in sides.items()
        if name not in tensors
    }
    operands: dict[str, OperandArgument] = {name: side.value for name, side in tensors.items()}
    return layers.add_with_numbers(opcode, label, span, operands, numbers)


def _numbers(value: Value) -> tuple[float, ...] | None:
    items = value if isinstance(value, tuple) else (value,)
    numbers = [item for item in items if is_number(item) and isinstance(item, int | float)]
    return tuple(map(float, numbers)) if items and len(numbers) == len(items) else None


def _constant(layers: Layers, opcode: str, value: Value, type: TensorType, span: Span) -> Derivation:
    numbers = _numbers(value)
    if numbers is None:
        message = f"`{opcode}` takes a tensor, a number or a list of them, got {describe(value)}"
        raise _stop(layers, "MN0301", message, span)
    if isinstance(value, tuple) and len(numbers) != type.shape[-1]:
        message = f"a list of {len(numbers)} numbers does not fit the {type.shape[-1]} channels of {type}"
        raise _stop(layers, "MN0401", message, span, "give one number for each channel, or one for all")
    if any(abs(number) > LARGEST for number in numbers):
        raise _stop(layers, "MN0310", "a number beside a tensor is a float32, at most 3.4e38", span)
    return numbers_derivation((*(1 for _ in type.shape[:-1]), len(numbers)), numbers)


def _stop(layers: Layers, code: str, message: str, span: Span, help: str = "") -> Reported:
    return layers.report.stop(error(code, message, at=span, help=help))
