"""Functions of 8-bit numbers into tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.ops.elementwise import Elementwise
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.ops.quantize import Quantize, Requantize
from mnetdsl.ir.ops.unary import UnaryOp
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, called
from mnetdsl.passes.derive import DerivedConstants, constant_of
from mnetdsl.passes.lookup_tables import ENTRIES, table_derivation


@dataclass(frozen=True)
class LowerUnary(Pass):
    """f(q) for each of the 256 numbers q is a table; f keeps its rounding, since f itself makes the table.

    Before: any module. After: every unary function and `requantize` of a tensor of 8 bits into one of integers, every
    sum, difference and product of such a tensor and one constant number, and every `quantize` of a normalized image of
    8 bits, is a `lookup`; of images with a mean or deviation for each channel one that has a row for each. A
    `requantize` that changes nothing is gone.
    """

    name: ClassVar[str] = "lower-unary"

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        derived = DerivedConstants(module, rewriter)
        for op in rewriter.operations():
            if isinstance(op, Requantize) and op.type == op.input.type and not rewriter.graph.is_output(op.result):
                rewriter.replace_with_value(op, op.input)
                context.applied(self.name, f"removed {called(op)}: its numbers are those of its input", op)
                continue
            steps = _steps(op)
            if steps:
                self._lower(derived, rewriter, context, steps)

    def _lower(self, derived: DerivedConstants, rewriter: Rewriter, context: Context, steps: list[Op]) -> None:
        first, last = steps[0], steps[-1]
        source, constant = _operands(first)
        channels = _channels(first)
        shape = (ENTRIES,) if channels is None else (channels, ENTRIES)
        derivation = table_derivation(steps, source, channels, constant)
        table = derived.add(last, f"{last.name}.table", shape, derivation, last.type.element)
        lookup = rewriter.replace(last, Lookup, {"input": source, "table": table}, storage=last.type.storage)
        rewriter.erase_unread(*reversed(steps[:-1]))
        context.applied(self.name, f"made {called(first)} a table of {ENTRIES} entries", lookup)


def _steps(op: Op) -> list[Op]:
    """The operations that become one table, first to last; none where `op` does not end such a chain."""
    if isinstance(op, UnaryOp | Requantize) and _eight_bits(op.input) and op.type.quantization is not None:
        return [op]
    if isinstance(op, Elementwise) and _with_one_number(op) and op.type.quantization is not None:
        return [op]
    if isinstance(op, Quantize) and isinstance(op.input.producer, Normalize):
        normalize = op.input.producer
        return [normalize, op] if normalize.input.type.element.byte_width == 1 else []
    return []


def _operands(first: Op) -> tuple[Value, Constant | None]:
    """What the table is looked up with, and the constant beside it."""
    if not isinstance(first, Elementwise):
        return first.operand_group("input")[0], None
    constant = constant_of(first.left) or constant_of(first.right)
    return (first.right if constant_of(first.left) else first.left), constant


def _with_one_number(op: Elementwise) -> bool:
    """Whether one operand is a constant number and the other varies."""
    source, constant = _operands(op)
    return constant is not None and constant.type.elements == 1 and constant_of(source) is None and _eight_bits(source)


def _eight_bits(value: Value) -> bool:
    return value.type.quantization is not None and value.type.element.byte_width == 1


def _channels(first: Op) -> int | None:
    per_channel = isinstance(first, Normalize) and max(len(first.mean), len(first.std)) > 1
    return first.type.shape[-1] if per_channel else None
