"""What holds of a module at each stage, as a table of rules.

A violation after a pass is our bug (`VerificationError`); in IR text that was read it is the text's mistake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from mnetdsl.ir.core import RESERVED_PORT_KEYS, Module, Op, Port, ShapeError, Value
from mnetdsl.ir.derivation import NUMBERS
from mnetdsl.ir.types import ElementType, TensorType, type_problem


class Stage(Enum):
    """How far a module has come; each stage keeps the rules of those before it."""

    BUILT = "built"
    """As the text says it, and after any single pass."""
    FOLDED = "folded"
    """After the float pipeline: what backends take."""


@dataclass(frozen=True)
class Violation:
    message: str
    op: Op | None = None


class VerificationError(Exception):
    """A pass, or whoever built the module, broke a rule: a bug of ours."""

    def __init__(self, stage: Stage, found: list[Violation]) -> None:
        self.stage = stage
        self.violations = found
        super().__init__(f"the module breaks rules of stage `{stage.value}`: " + "; ".join(v.message for v in found))


def verify(module: Module, stage: Stage = Stage.BUILT) -> None:
    """Raises `VerificationError` with every violation."""
    found = violations(module, stage)
    if found:
        raise VerificationError(stage, found)


def violations(module: Module, stage: Stage = Stage.BUILT) -> list[Violation]:
    """All violations of the rules of `stage`. Later rules need the structure that the first ones check."""
    found: list[Violation] = []
    for rule in RULES[stage]:
        found.extend(rule(module))
        if found and rule in STRUCTURE:
            break
    return found


def defined_before_use(module: Module) -> Iterator[Violation]:
    """Every operand and output is an input or the result of an operation further up."""
    defined = {port.value for port in module.graph.inputs}
    seen: set[Op] = set()
    for op in module.graph.operations:
        if op in seen:
            yield Violation(f"{_called(op)} stands twice in the graph", op)
        if not defined.issuperset(op.operands):
            yield Violation(f"{_called(op)} reads a value that is not defined above it", op)
        if op.result.producer is not op:
            yield Violation(f"the result of {_called(op)} names another producer", op)
        seen.add(op)
        defined.add(op.result)
    for port in module.graph.outputs:
        if port.value not in defined:
            yield Violation(f"output `{port.name}` is a value that the graph does not define")


def users_are_right(module: Module) -> Iterator[Violation]:
    """`users` of every value lists its reading operations, one entry per use."""
    expected: dict[Value, Counter[Op]] = {port.value: Counter() for port in module.graph.inputs}
    expected.update({op.result: Counter() for op in module.graph.operations})
    for op in module.graph.operations:
        for value in op.operands:
            expected[value][op] += 1
    for value, users in expected.items():
        if Counter(value.users) != users:
            what = "an input" if value.producer is None else f"the result of {_called(value.producer)}"
            yield Violation(f"the users of {what} are not those that read it", value.producer)


def types_are_inferred(module: Module) -> Iterator[Violation]:
    """The type of each result is the one that its operation infers, and a possible one."""
    for op in module.graph.operations:
        try:
            inferred = op.typed()
        except ShapeError as problem:
            yield Violation(f"{_called(op)}: {problem.message}", op)
            continue
        if inferred != op.type:
            yield Violation(f"{_called(op)} gives {inferred}, its result says {op.type}", op)
        problem_of_type = type_problem(op.type)
        if problem_of_type:
            yield Violation(f"the result of {_called(op)} {problem_of_type}", op)


def ports_are_valid(module: Module) -> Iterator[Violation]:
    """Ports have names, each its own; inputs are distinct values without producer."""
    for kind, ports in (("input", module.graph.inputs), ("output", module.graph.outputs)):
        for name, count in Counter(port.name for port in ports).items():
            if count > 1 or not name:
                yield Violation(f"{count} {kind}s are called `{name}`")
        for port in ports:
            yield from _port_violations(kind, port)
    if len({port.value for port in module.graph.inputs}) != len(module.graph.inputs):
        yield Violation("two inputs are the same value")


def _port_violations(kind: str, port: Port) -> Iterator[Violation]:
    if kind == "input" and port.value.producer is not None:
        yield Violation(f"input `{port.name}` is the result of {_called(port.value.producer)}")
    for key in RESERVED_PORT_KEYS & set(port.attributes):
        yield Violation(f"{kind} `{port.name}` has the attribute `{key}`, which is reserved")
    problem = type_problem(port.value.type)
    if problem:
        yield Violation(f"{kind} `{port.name}` {problem}")


def resources_fit(module: Module) -> Iterator[Violation]:
    """A resource has one type wherever it is named, and a loaded array has that shape and element type."""
    named: dict[str, TensorType] = {}
    uses: list[tuple[str, TensorType, Op | None]] = [
        (str(op.attributes["resource"]), op.type, op) for op in module.graph.constants()
    ]
    for derivation in module.derived.values():
        uses.extend((name, type, None) for name, type in zip(derivation.sources, derivation.types, strict=True))
    for name, type, op in uses:
        first = named.setdefault(name, type)
        if first != type:
            yield Violation(f"resource `{name}` is {type} here and {first} elsewhere", op)
    for name, array in module.resources.items():
        expected = named.get(name)
        if expected is not None and (array.shape != expected.shape or array.dtype.name != expected.element.dtype):
            yield Violation(f"resource `{name}` is {list(array.shape)} {array.dtype.name}, not {expected}")


def derivations_are_ordered(module: Module) -> Iterator[Violation]:
    """A derived array reads only arrays that are given or derived before it."""
    seen: set[str] = set()
    for name, derivation in module.derived.items():
        late = [source for source in derivation.sources if source in module.derived and source not in seen]
        if late:
            yield Violation(f"the array `{name}` is derived from `{late[0]}`, which is derived later")
        seen.add(name)


def layers_have_names_of_their_own(module: Module) -> Iterator[Violation]:
    """Operations with weights have different names, since the name is the key of the weights."""
    first: dict[str, Op] = {}
    for op in module.graph.operations:
        weights = any(_is_weight(module, value) for value in op.operands)
        if weights and op.name and first.setdefault(op.name, op) is not op:
            yield Violation(f"two operations with weights are called `{op.name}`", op)


MOVERS = frozenset(
    {"constant", "normalize", "reshape", "pad", "concat", "max_pool", "transpose", "slice", "resize", "argmax"}
)
"""Operations that take any element type."""


CONVERSIONS = frozenset({"quantize", "dequantize", "requantize", "lookup"})
FOLLOWING = frozenset({"reshape", "pad", "max_pool", "avg_pool", "slice", "transpose", "resize"})
"""Operations whose quantized result has the numbers of its input: they move, select or average stored integers."""
WEIGHT_ELEMENTS = {
    "filter": (ElementType.I8, ElementType.U8),
    "filter_zero_point": (ElementType.I8, ElementType.U8),
    "bias": (ElementType.I32, ElementType.I64),
    "filter_scale": (ElementType.F32,),
}
"""What the operands with weights of a quantized operation may be."""


def elements_fit(module: Module) -> Iterator[Violation]:
    """Operations that compute take float32 only or quantized tensors only; those that move elements any one type."""
    for op in module.graph.operations:
        if op.type.quantization is not None and op.opcode not in {*CONVERSIONS, "constant"}:
            yield from _quantized_violations(op)
            continue
        if op.opcode in CONVERSIONS:
            continue
        elements = {value.type.element for value in op.operands}
        if op.opcode not in MOVERS and elements - {ElementType.F32}:
            yield Violation(f"{_called(op)} computes in float32, got {_spelled(elements)}", op)
        elif len(elements) > 1:
            yield Violation(f"{_called(op)} mixes elements of {_spelled(elements)}", op)


def _quantized_violations(op: Op) -> Iterator[Violation]:
    for definition in op.operand_defs:
        allowed = WEIGHT_ELEMENTS.get(definition.name)
        for value in op.operand_group(definition.name):
            if allowed is not None and value.type.element not in allowed:
                yield Violation(f"{_called(op)} is quantized, its {definition.name} is {value.type}", op)
            elif allowed is None and value.type.quantization is None:
                yield Violation(f"{_called(op)} is quantized, its operand {definition.name} is {value.type}", op)
    if op.opcode in FOLLOWING and op.operands[0].type.storage != op.type.storage:
        yield Violation(f"{_called(op)} keeps the numbers of its input, and is stored with others", op)
    if op.attributes.get("activation", "none") not in ("none", "relu", "relu6"):
        yield Violation(f"{_called(op)} is quantized and applies {op.attributes['activation']}", op)


def no_batch_norm(module: Module) -> Iterator[Violation]:
    """Batch normalization of constant statistics is folded or lowered. (The language has no other.)"""
    for op in module.graph.operations:
        if op.opcode == "batch_norm" and all(_is_constant(value) for value in op.operands[1:]):
            yield Violation(f"{_called(op)} is left", op)


def nothing_is_dead(module: Module) -> Iterator[Violation]:
    """Every result is read."""
    for op in module.graph.operations:
        if not op.result.users and not module.graph.is_output(op.result):
            yield Violation(f"the result of {_called(op)} is never read", op)


def _is_constant(value: Value) -> bool:
    return value.producer is not None and value.producer.opcode == "constant"


def _is_weight(module: Module, value: Value) -> bool:
    """A constant that the layer's name is the key of: not a number that the text states."""
    if value.producer is None or value.producer.opcode != "constant":
        return False
    derivation = module.derived.get(str(value.producer.attributes["resource"]))
    return derivation is None or derivation.function != NUMBERS


def _called(op: Op) -> str:
    return f"`{op.opcode}` {op.name}" if op.name else f"`{op.opcode}`"


def _spelled(elements: set[ElementType]) -> str:
    return " and ".join(sorted(element.value for element in elements))


Rule = Callable[[Module], Iterator[Violation]]

STRUCTURE: tuple[Rule, ...] = (defined_before_use, users_are_right)
"""Rules without which the others cannot be asked."""

_BUILT: tuple[Rule, ...] = (
    *STRUCTURE,
    types_are_inferred,
    ports_are_valid,
    resources_fit,
    derivations_are_ordered,
    layers_have_names_of_their_own,
    elements_fit,
)

RULES: dict[Stage, tuple[Rule, ...]] = {
    Stage.BUILT: _BUILT,
    Stage.FOLDED: (*_BUILT, no_batch_norm, nothing_is_dead),
}
