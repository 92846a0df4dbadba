"""What a module's constants ask a weight file for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.derivation import SOURCE_ROLES
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import TensorType


@dataclass(frozen=True)
class Expected:
    """One tensor of the weight file. `op` reads it as its operand `operand`.

    `op` is None where only a derivation reads it, both where nothing does.
    """

    name: str
    type: TensorType
    op: Op | None
    operand: str | None


def expected_weights(module: Module) -> dict[str, Expected]:
    """Tensors by resource name, in the order of the network. Of several readers the first counts.

    Of a module that passes have rewritten, these are the arrays that its derived ones start from.
    """
    found = {name: item for name, item in _derived_from(module).items() if name not in module.derived}
    for constant in module.graph.operations:
        if not isinstance(constant, Constant) or constant.resource in found or constant.resource in module.derived:
            continue
        readers = set(constant.result.users)
        op = next((op for op in module.graph.operations if op in readers), None) if readers else None
        found[constant.resource] = Expected(constant.resource, constant.type, op, _operand(op, constant))
    return found


def _derived_from(module: Module) -> dict[str, Expected]:
    found: dict[str, Expected] = {}
    for derivation in module.derived.values():
        roles = SOURCE_ROLES.get(derivation.function, ())
        for name, type, role in zip_longest(derivation.sources, derivation.types, roles[: len(derivation.sources)]):
            found.setdefault(name, Expected(name, type, None, role))
    return found


def _operand(op: Op | None, constant: Constant) -> str | None:
    if op is None:
        return None
    return next(d.name for d in op.operand_defs if constant.result in op.operand_group(d.name))
