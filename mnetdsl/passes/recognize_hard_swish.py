"""The sums, clamps and products that stand for hard_sigmoid and hard_swish, under their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.derivation import NUMBERS
from mnetdsl.ir.ops.elementwise import Add, Mul
from mnetdsl.ir.ops.unary import HardSigmoid, HardSwish
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.base import Pass
from mnetdsl.passes.clamps import bounds_of
from mnetdsl.passes.context import Context, called
from mnetdsl.passes.derive import constant_of

TOLERANCE = 3e-7
"""Of a stated number to the one that is meant: 1/6 written as float32, or with eight digits."""


@dataclass(frozen=True)
class RecognizeHardSwish(Pass):
    """relu6(x + 3) / 6 = hard_sigmoid(x), and x * hard_sigmoid(x) = hard_swish(x) (Howard et al. 2019, section 5.2).

    hard_sigmoid is also min(max(x / 6 + 1/2, 0), 1). In hard_swish the factor 1/6 may stand at the gate, at x, or
    behind the product; operands of sums and products in any order; relu6 as the activation of the sum, as an operation
    or as a clamp from 0 to 6.

    Before: any module; best behind `canonicalize`. After: each such form is one operation, if 3, 1/6 and 1/2 are
    numbers that the text states, equal for all channels and to 3e-7 of those meant, if no operand is spread over the
    result, and if no operation of it is quantized, since that would round between the steps. Weights are never looked
    at: what the pass does is the same before and after they are loaded. Steps that others read stay for them.
    """

    name: ClassVar[str] = "recognize-hard-swish"

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        recognizer = _Recognizer(module)
        for op in rewriter.operations():
            if op.type.quantization is not None:
                continue
            for kind, find in ((HardSigmoid, recognizer.hard_sigmoid), (HardSwish, recognizer.hard_swish)):
                source = find(op)
                if source is None or source.type != op.type:
                    continue
                before = op.operands
                made = rewriter.replace(op, kind, {"input": source})
                _erase_unread(rewriter, before)
                context.applied(self.name, f"wrote {called(op)} as {kind.opcode}", made)
                break


class _Recognizer:
    def __init__(self, module: Module) -> None:
        self.module = module

    def hard_sigmoid(self, op: Op) -> Value | None:
        """x where `op` gives hard_sigmoid(x)."""
        if isinstance(op, Mul) and op.activation == "none":
            gate = self._times(op, 1 / 6)
            return None if gate is None else self._raised(gate, 6.0, 3.0)
        half = self._raised(op.result, 1.0, 0.5)
        return None if half is None else self._times(half.producer, 1 / 6)

    def hard_swish(self, op: Op) -> Value | None:
        """x where `op` gives hard_swish(x)."""
        if not isinstance(op, Mul) or op.activation != "none":
            return None
        product = self._times(op, 1 / 6)
        if product is not None and isinstance(product.producer, Mul) and product.producer.activation == "none":
            return self._gated(product.producer, sixth=False)
        return self._gated(op, sixth=True)

    def _gated(self, op: Mul, *, sixth: bool) -> Value | None:
        """x of x * gate(x); with `sixth`, 1/6 is part of the gate or of x."""
        for x, gate in ((op.left, op.right), (op.right, op.left)):
            if not sixth and self._raised(gate, 6.0, 3.0) is x:
                return x
            if sixth and isinstance(gate.producer, HardSigmoid) and gate.producer.input is x:
                return x
            scaled = self._times(x.producer, 1 / 6) if sixth else None
            if scaled is not None and self._raised(gate, 6.0, 3.0) is scaled:
                return scaled
        return None

    def _raised(self, gate: Value, high: float, offset: float) -> Value | None:
        """x of min(max(x + offset, 0), high)."""
        total, clamp = gate.producer, "none"
        if isinstance(total, Add):
            clamp = "relu6" if high == 6.0 else ""
        elif total is not None and bounds_of(total) == (0.0, high):
            total = total.operands[0].producer
        else:
            return None
        return self._beside(total, offset) if isinstance(total, Add) and total.activation == clamp else None

    def _times(self, op: Op | None, number: float) -> Value | None:
        """x of x * number."""
        plain = isinstance(op, Mul) and op.activation == "none" and op.type.quantization is None
        return self._beside(op, number) if plain and isinstance(op, Mul) else None

    def _beside(self, op: Add | Mul, number: float) -> Value | None:
        """The other operand, where one is `number` in every element."""
        if op.type.quantization is not None:
            return None
        for x, constant in ((op.left, op.right), (op.right, op.left)):
            if self._is(constant, number) and x.type == op.type:
                return x
        return None

    def _is(self, value: Value, number: float) -> bool:
        constant = constant_of(value)
        derivation = None if constant is None else self.module.derived.get(constant.resource)
        if derivation is None or derivation.function != NUMBERS:
            return False
        values = dict(derivation.attributes).get("values")
        return isinstance(values, tuple) and all(abs(float(each) - number) <= TOLERANCE * number for each in values)


def _erase_unread(rewriter: Rewriter, values: tuple[Value, ...]) -> None:
    """Removes what made `values`, and what made that, as far as nobody reads it."""
    waiting, erased = list(values), set()
    while waiting:
        producer = waiting.pop().producer
        if producer is not None and producer not in erased and rewriter.unread(producer):
            waiting.extend(producer.operands)
            erased.add(producer)
            rewriter.erase(producer)
