"""Which tensors are worth 16 bits, and which can have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import Storage
from mnetdsl.ir.verifier import FOLLOWING
from mnetdsl.quantize.apply import WEIGHTED, named_tensors
from mnetdsl.quantize.sensitivity import Array, sensitivity

UNARY = frozenset({"hard_swish", "hard_sigmoid", "sigmoid", "silu", "tanh", "gelu", "relu", "relu6"})
"""Functions whose operand may have 16 bits and their result 8, or the other way round."""


def obstacle(value: Value) -> Op | None:
    """The first operation around `value` that takes tensors of one width only; None where 16 bits are possible."""
    if value.producer is None or isinstance(value.producer, Constant):
        return None if value.producer is None else next(iter(value.users), None)
    return next((op for op in (value.producer, *_readers(value)) if not _converts(op)), None)


def _readers(value: Value) -> Iterator[Op]:
    for user in value.users:
        if user.opcode in FOLLOWING:
            yield from _readers(user.result)
        else:
            yield user


def _converts(op: Op) -> bool:
    return isinstance(op, WEIGHTED) or op.opcode in UNARY


def check_wide(module: Module, wide: frozenset[str]) -> None:
    """Raises MN1813 for a tensor in `wide` beside which an operation needs operands and results of one width."""
    named = dict(named_tensors(module))
    for name in sorted(wide & set(named)):
        op = obstacle(named[name])
        if op is not None:
            raise MnetError(
                error(
                    "MN1813",
                    f"`{name}` cannot be stored in 16 bits: `{op.opcode}` of `{op.name}` takes and gives one width",
                    location=str(op.location),
                    help="results of convolutions, dense layers and activations can, where such layers read them",
                )
            )


def costliest(
    module: Module,
    storages: Mapping[str, Storage],
    batch: Mapping[str, Array],
    count: int,
    progress: Callable[[int], None] = lambda tensors: None,
) -> dict[str, float]:
    """The `count` tensors whose storage in 8 bits costs the outputs most, of those that can have 16; worst first.

    With what each costs: noise of the outputs in shares of their power. progress: told of each tensor.
    """
    named = dict(named_tensors(module))
    possible = {name: storages[name] for name, value in named.items() if name in storages and obstacle(value) is None}
    costs = sensitivity(module, possible, batch, progress)
    ranked = sorted(costs, key=lambda name: (-costs[name], name))
    return {name: costs[name] for name in ranked[:count]}
