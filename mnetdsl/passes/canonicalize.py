"""One form for what can be written in several ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.ops.elementwise import Add, Mul
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.ops.pool import GlobalAvgPool, Pool
from mnetdsl.ir.ops.shape import Concat, Pad, Reshape
from mnetdsl.ir.ops.unary import Clamp
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.passes.base import Pass
from mnetdsl.passes.clamps import bounds_of, compose, name_of, result_bounds
from mnetdsl.passes.context import Context, called
from mnetdsl.passes.derive import constant_of

Pattern = Callable[[Op, Rewriter], str]
"""Rewrites an operation where it fits and says what it did; empty where it did not fit."""


@dataclass(frozen=True)
class Canonicalize(Pass):
    """f(x) = g(x) for equal functions under different names; x for identities.

    clamp(0, 6) = relu6, clamp(0, inf) = relu; clamps compose: min(max(min(max(x, a), b), c), d) is one clamp, and
    none where the value obeys the bounds already. reshape(reshape(x)) = reshape(x). pad(pad(x)) of one border value
    adds up. A concat of one tensor, a reshape to the same shape, a pad of nothing, a 1x1 pool of stride 1 and a
    normalize of mean 0 and std 1 on float32 are identities. A constant stands right in `add` and `mul`. The mean
    over a 1x1 map is a reshape.

    Before: any module. After: none of these forms is left, and results are equal (0.0 counts as -0.0).
    """

    name: ClassVar[str] = "canonicalize"

    def run(self, module: Module, context: Context) -> None:
        rewriter = Rewriter(module.graph)
        changed = True
        while changed:
            changed = False
            for op in rewriter.operations():
                for pattern in () if _changes_scale(op) else PATTERNS:
                    done = pattern(op, rewriter)
                    if done:
                        context.applied(self.name, done, op)
                        changed = True
                        break


def _changes_scale(op: Op) -> bool:
    """Whether a quantized operation rounds: its result and its operands are not stored alike."""
    return op.type.quantization is not None and any(value.type.storage != op.type.storage for value in op.operands)


def _same(op: Op, value: Value, rewriter: Rewriter, why: str) -> str:
    """Replaces an identity by its operand, but for an output that would then be an input or a constant."""
    computed = value.producer is not None and value.producer.opcode != "constant"
    if rewriter.graph.is_output(op.result) and not computed:
        return ""
    rewriter.replace_with_value(op, value)
    return f"removed {called(op)}: {why}"


def identity(op: Op, rewriter: Rewriter) -> str:
    if isinstance(op, Reshape) and op.type == op.input.type:
        return _same(op, op.input, rewriter, "the shape is the same")
    if isinstance(op, Pad) and not any(op.padding):
        return _same(op, op.input, rewriter, "it adds no border")
    if isinstance(op, Concat) and len(op.inputs) == 1:
        return _same(op, op.inputs[0], rewriter, "it joins one tensor")
    if isinstance(op, Pool) and (op.kernel, op.strides) == ((1, 1), (1, 1)) and not any(op.padding):
        return _same(op, op.input, rewriter, "its window is one pixel")
    if isinstance(op, Normalize) and (op.type, set(op.mean), set(op.std)) == (op.input.type, {0.0}, {1.0}):
        return _same(op, op.input, rewriter, "it subtracts 0 and divides by 1")
    return ""


def one_clamp(op: Op, rewriter: Rewriter) -> str:
    """clamp(clamp(x)) is one clamp; so is a clamp of a value that obeys the bounds, and it is none."""
    outer = bounds_of(op)
    if outer is None:
        return ""
    (value,) = op.operands
    obeyed = result_bounds(value.producer)
    if outer == (-math.inf, math.inf) or (obeyed is not None and compose(obeyed, outer) == obeyed):
        return _same(op, value, rewriter, "the value obeys its bounds already")
    inner = bounds_of(value.producer)
    if inner is None or value.producer is None:
        return ""
    low, high = compose(inner, outer)
    (source,) = value.producer.operands
    rewriter.replace(op, Clamp, {"input": source}, {"low": low, "high": high})
    rewriter.erase_unread(value.producer)
    return f"joined {called(op)} with the clamp before it"


def named_clamp(op: Op, rewriter: Rewriter) -> str:
    name = name_of((op.low, op.high)) if isinstance(op, Clamp) else None
    if name is None or not isinstance(op, Clamp):
        return ""
    rewriter.replace(op, OPERATIONS[name], {"input": op.input})
    return f"wrote {called(op)} as {name}"


def one_reshape(op: Op, rewriter: Rewriter) -> str:
    if not isinstance(op, Reshape) or not isinstance(op.input.producer, Reshape):
        return ""
    before = op.input.producer
    rewriter.update(op, {"input": before.input})
    rewriter.erase_unread(before)
    return f"joined {called(op)} with the reshape before it"


def one_pad(op: Op, rewriter: Rewriter) -> str:
    if not isinstance(op, Pad) or not isinstance(op.input.producer, Pad):
        return ""
    before = op.input.producer
    if before.value != op.value or not rewriter.single_use(before.result):
        return ""
    padding = tuple(outer + inner for outer, inner in zip(op.padding, before.padding, strict=True))
    rewriter.update(op, {"input": before.input}, {"padding": padding})
    rewriter.erase(before)
    return f"joined {called(op)} with the pad before it"


def one_concat(op: Op, rewriter: Rewriter) -> str:
    """concat(concat(a, b), c) along one axis is concat(a, b, c); not where the inner one is stored anyway."""
    if not isinstance(op, Concat):
        return ""
    inner = [
        value.producer
        for value in op.inputs
        if isinstance(value.producer, Concat) and value.producer.axis == op.axis and rewriter.single_use(value)
    ]
    if not inner:
        return ""
    joined: list[Value] = []
    for value in op.inputs:
        producer = value.producer
        joined.extend(producer.inputs if isinstance(producer, Concat) and producer in inner else (value,))
    rewriter.update(op, {"inputs": joined})
    rewriter.erase_unread(*inner)
    return f"joined {called(op)} with the concat before it"


def constant_right(op: Op, rewriter: Rewriter) -> str:
    if not isinstance(op, Add | Mul) or constant_of(op.left) is None or constant_of(op.right) is not None:
        return ""
    if op.left.type.element is not op.right.type.element:
        return ""
    rewriter.update(op, {"left": op.right, "right": op.left})
    return f"put the constant of {called(op)} to the right"


def mean_of_one(op: Op, rewriter: Rewriter) -> str:
    if not isinstance(op, GlobalAvgPool) or op.input.type.shape[1:3] != (1, 1):
        return ""
    rewriter.replace(op, Reshape, {"input": op.input}, {"shape": op.type.shape[1:]})
    return f"wrote {called(op)} as a reshape: the map is one pixel"


PATTERNS: tuple[Pattern, ...] = (
    identity,
    one_clamp,
    named_clamp,
    one_reshape,
    one_pad,
    one_concat,
    constant_right,
    mean_of_one,
)
"""Tried in this order. Each lowers the number of operations, or names one by its final form."""
