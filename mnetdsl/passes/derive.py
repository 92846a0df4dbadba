"""Arrays that passes derive from weights: the functions, and their evaluation once the weights are loaded.

A pass never computes a weight. It puts a constant into the graph, and a `Derivation` that says how the constant's
array follows from those of the weight file; so every pass works alike with and without weights, and its result can
be printed, read back, and given weights later. Chains are evaluated in float64 and rounded to float32 once; integers
stay exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.core import Module, Op, OperandArgument, ShapeError, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.derivation import NUMBERS, Derivation
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.ir.types import ElementType, Shape
from mnetdsl.passes import lookup_tables
from mnetdsl.passes.batch_norm_arithmetic import BATCH_NORM_FUNCTIONS
from mnetdsl.passes.channel_arithmetic import CHANNEL_FUNCTIONS
from mnetdsl.passes.number_arrays import number_array

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

OPERATION_PREFIX = "mnet."
FUNCTIONS = {
    **BATCH_NORM_FUNCTIONS,
    **CHANNEL_FUNCTIONS,
    lookup_tables.FUNCTION: lookup_tables.lookup_table,
    NUMBERS: number_array,
}
"""What an array may be derived by, beside operations of the graph: arrays and attributes -> array."""


def constant_of(value: Value | None) -> Constant | None:
    """The constant that gives `value`, if one does."""
    producer = None if value is None else value.producer
    return producer if isinstance(producer, Constant) else None


class DerivedConstants:
    """Adds constants whose arrays follow from others; one for each run of a pass."""

    def __init__(self, module: Module, rewriter: Rewriter) -> None:
        self._module = module
        self._rewriter = rewriter
        self._taken = {*module.required(), *module.derived, *module.resources}

    def add(
        self,
        anchor: Op,
        name: str,
        shape: Shape,
        derivation: Derivation,
        element: ElementType = ElementType.F32,
    ) -> Value:
        """A new constant in front of `anchor` whose array `derivation` gives, under `name` or `name.2`, …"""
        derived = self._module.derived
        number, unique = 1, name
        while unique in self._taken and derived.get(unique) != derivation:
            number += 1
            unique = f"{name}.{number}"
        derived[unique] = derivation
        self._taken.add(unique)
        attributes: dict[str, AttributeValue] = {"resource": unique, "shape": shape, "element": element.value}
        return self._rewriter.insert_before(anchor, Constant, {}, attributes, anchor.location.named(unique)).result


def derivation_from(
    function: str, constants: list[Constant], attributes: Mapping[str, AttributeValue] | None = None
) -> Derivation:
    """A derivation that reads the arrays of `constants`."""
    return Derivation(
        function,
        tuple(constant.resource for constant in constants),
        tuple(constant.type for constant in constants),
        attributes=tuple(sorted((attributes or {}).items())),
    )


def materialize(module: Module) -> None:
    """Computes every derived array whose sources are loaded, into `module.resources`.

    Raises `MnetError` (MN1013) where the text of a module asks for what cannot be computed.
    """
    missing = {name for name in module.derived if name not in module.resources}
    if not missing:
        return
    import numpy as np

    needed = set(missing)
    for name in reversed(module.derived):
        if name in needed:
            needed.update(module.derived[name].sources)
    elements = {op.attributes["resource"]: op.type.element for op in module.graph.constants()}
    exact: dict[str, Array] = {}
    for name, derivation in module.derived.items():
        if name not in needed:
            continue
        arrays = _sources(module, derivation, exact)
        if arrays is None:
            continue
        with np.errstate(all="ignore"):
            exact[name] = _evaluate(name, derivation, arrays)
            if name in missing:
                element = elements.get(name, ElementType.F32)
                module.resources[name] = exact[name].astype(element.dtype)
    _check_shapes(module, missing)


def _sources(module: Module, derivation: Derivation, exact: dict[str, Array]) -> list[Array] | None:
    arrays: list[Array] = []
    for source, type in zip(derivation.sources, derivation.types, strict=True):
        array = exact.get(source)
        if array is None and source in module.resources:
            array = module.resources[source].astype("float64")
        if array is None:
            return None
        if array.shape != type.shape:
            raise _problem(source, f"it is {list(array.shape)}, and read as {type}")
        arrays.append(array)
    return arrays


def _check_shapes(module: Module, names: set[str]) -> None:
    for op in module.graph.constants():
        name = str(op.attributes["resource"])
        array = module.resources.get(name)
        if name in names and array is not None and array.shape != op.type.shape:
            raise _problem(name, f"it comes out as {list(array.shape)}, the constant is {op.type}")


def _problem(name: str, why: str) -> MnetError:
    return MnetError(error("MN1013", f"the derived array `{name}` cannot be computed: {why}", location=name))


def _evaluate(name: str, derivation: Derivation, arrays: list[Array]) -> Array:
    attributes = dict(derivation.attributes)
    try:
        if derivation.function.startswith(OPERATION_PREFIX):
            return _operation(derivation, arrays, attributes)
        function = FUNCTIONS.get(derivation.function)
        if function is None:
            raise ShapeError(f"there is no function `{derivation.function}`")
        return function(arrays, attributes)
    except ShapeError as problem:
        raise _problem(name, problem.message) from None


def _operation(derivation: Derivation, arrays: list[Array], attributes: dict[str, AttributeValue]) -> Array:
    """The result of an operation on constants, by the interpreter."""
    from mnetdsl.interpreter import evaluate_op

    op = operation_of(derivation, attributes)
    typed = [array.astype(type.element.dtype) for array, type in zip(arrays, derivation.types, strict=True)]
    return evaluate_op(op, typed, {}).astype("float64")


def operation_of(derivation: Derivation, attributes: dict[str, AttributeValue]) -> Op:
    """The operation that an operation's derivation stands for. Raises `ShapeError` where there is no such one."""
    kind = OPERATIONS.get(derivation.function.removeprefix(OPERATION_PREFIX))
    definitions = () if kind is None else kind.operand_defs
    if kind is None or kind is Constant or len(derivation.segments) != len(definitions):
        raise ShapeError(f"`{derivation.function}` is no operation with these operands")
    if sum(derivation.segments) != len(derivation.types):
        raise ShapeError(f"{derivation.segments} does not count {len(derivation.types)} operands")
    groups: dict[str, OperandArgument] = {}
    values = [Value(type) for type in derivation.types]
    for definition, size in zip(definitions, derivation.segments, strict=True):
        groups[definition.name], values = values[:size], values[size:]
    try:
        return kind(groups, attributes)
    except ValueError as problem:
        raise ShapeError(str(problem)) from None
