"""What an operation's rule decides from shapes alone, before anything has an address or weights are loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.core import Op, Value
from mnetdsl.plan.storage import storage_root
from mnetdsl.plan.tasks import Mode

if TYPE_CHECKING:
    from mnetdsl.backends.c.emitter import Emitter
    from mnetdsl.backends.c.program import Call

AnyOp = TypeVar("AnyOp", bound=Op)


@dataclass(frozen=True)
class Choice:
    """The kernel of one operation.

    `sources` are its templates, `functions` what of them is called. `reads` are the operands that stand in memory
    the planner knows, and `modes` the ways to run, with clearances in the order of `reads`.
    """

    title: str
    sources: tuple[str, ...]
    functions: tuple[str, ...]
    reads: tuple[Value, ...]
    modes: tuple[Mode, ...]
    macs: int = 0
    activation: str = "none"


@dataclass(frozen=True)
class Rule(Generic[AnyOp]):
    """How one operation becomes C: `choose` looks at shapes, `emit` knows addresses, mode and weights."""

    choose: Callable[[AnyOp], Choice]
    emit: Callable[[AnyOp, Emitter], Sequence[Call]]


def is_constant(value: Value) -> bool:
    """Whether a value is a constant, reshapes followed."""
    producer = storage_root(value).producer
    return producer is not None and producer.opcode == "constant"


def require_constant(op: Op, *operands: Value | None) -> None:
    """Raises MN1110 where a weight operand is computed: kernels lay weights out at compile time."""
    for value in operands:
        if value is not None and not is_constant(value):
            raise MnetError(
                error(
                    "MN1110",
                    f"`{op.name or op.opcode}`: the C backend needs a constant {_operand_name(op, value)}",
                    location=str(op.location),
                    help="compute it before compiling, or keep this layer on another target",
                )
            )


def require_float(op: Op, *values: Value) -> None:
    """Raises MN1111 where a tensor is not float32."""
    for value in values:
        if not value.type.element.is_float:
            raise MnetError(
                error(
                    "MN1111",
                    f"`{op.name or op.opcode}` works on {value.type} elements, the portable C kernels on f32",
                    location=str(op.location),
                    help="declare `mean` and `std` of the input, so that it is converted to f32 first",
                )
            )


def _operand_name(op: Op, value: Value) -> str:
    return next(d.name for d in op.operand_defs if value in op.operand_group(d.name))
