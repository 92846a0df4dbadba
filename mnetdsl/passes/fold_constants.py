"""Operations on constants into constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.derivation import Derivation
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.ir.types import ElementType
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, called
from mnetdsl.passes.derive import OPERATION_PREFIX, DerivedConstants, constant_of


@dataclass(frozen=True)
class FoldConstants(Pass):
    """op(c1, c2, …) of constants is a constant, computed by the interpreter.

    Before: any module. After: every float32 operation whose operands are all constants is a constant, unless its
    result has more than `max_elements` elements, which would cost more storage than it saves time, or is an
    output, which must be computed.
    """

    name: ClassVar[str] = "fold-constants"
    max_elements: int = 1 << 20

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        derived = DerivedConstants(module, rewriter)
        for op in rewriter.operations():
            if op.operands and all(constant_of(value) is not None for value in op.operands):
                self._fold(derived, rewriter, context, op)

    def _fold(self, derived: DerivedConstants, rewriter: Rewriter, context: Context, op: Op) -> None:
        reason = self._why_not(op, rewriter)
        if reason:
            context.missed(self.name, f"not folded {called(op)}: {reason}", op)
            return
        constants = [constant for constant in map(constant_of, op.operands) if constant is not None]
        derivation = Derivation(
            f"{OPERATION_PREFIX}{op.opcode}",
            tuple(constant.resource for constant in constants),
            tuple(constant.type for constant in constants),
            tuple(len(op.operand_group(definition.name)) for definition in op.operand_defs),
            tuple(sorted(op.attributes.items())),
        )
        name = f"{op.name or op.opcode}.value"
        value = derived.add(op, name, op.type.shape, derivation)
        rewriter.replace_with_value(op, value)
        rewriter.erase_unread(*constants)
        context.applied(self.name, f"folded {called(op)} into a constant", op)

    def _why_not(self, op: Op, rewriter: Rewriter) -> str:
        if rewriter.graph.is_output(op.result):
            return "it is an output"
        if op.type.element is not ElementType.F32:
            return f"it gives {op.type.element.value}"
        if op.type.elements > self.max_elements:
            return f"{op.type.elements} elements are more than {self.max_elements}"
        return ""
