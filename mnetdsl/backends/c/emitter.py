"""What a rule may ask for while it writes its calls: addresses, tables and weights under their C names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c.choice import Choice
from mnetdsl.backends.c.identifiers import Names
from mnetdsl.backends.c.program import ARENA, CPort, Kernel, ShapeTable, Weights
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType
from mnetdsl.plan import Plan, PlannedStep, Space
from mnetdsl.plan.storage import storage_root

Array = NDArray[np.generic]
C_TYPES = {"f32": "float", "ui8": "uint8_t", "i8": "int8_t", "i16": "int16_t", "i32": "int32_t", "i64": "int64_t"}
C_NULL = "NULL"
ARENA_FUNCTIONS = {
    ElementType.F32: "at",
    ElementType.I8: "at_i8",
    ElementType.U8: "at_u8",
    ElementType.I16: "at_i16",
    ElementType.I32: "at_i32",
}
"""Element -> the function that points to such elements in the arena."""


class Emitter:
    """Collects tables while the rules run, each under one name however often it is asked for."""

    def __init__(
        self, module: Module, prefix: str, plan: Plan, inputs: Sequence[CPort], outputs: Sequence[CPort]
    ) -> None:
        self.module = module
        self.prefix = prefix
        self.plan = plan
        self.weights: list[Weights] = []
        self.shapes: list[ShapeTable] = []
        self.parts: set[str] = set()
        """Of kernels, beside the functions that are called."""
        self.arena_elements: set[tuple[int, ElementType]] = set()
        self.arenas = arena_names(plan)
        self.sources: list[tuple[str, ...]] = []
        self.kernels: dict[str, Kernel] = {}
        self.inputs = inputs
        self.outputs = outputs
        self.placed: dict[Value, str] = {}
        """C text of the addresses of values that the plan does not know: rows of its maps."""
        self._names = Names()
        self._shape_names: dict[tuple[str, tuple[str, ...]], str] = {}
        self._weight_names: dict[tuple[str, ...], str] = {}
        self._tables: dict[tuple[str, str, str, bytes], str] = {}
        self._choice: Choice | None = None
        self._step: PlannedStep | None = None

    def enter(self, choice: Choice, step: PlannedStep) -> None:
        """The layer that the next questions are about."""
        self._choice = choice
        self._step = step
        self.sources.append(choice.sources)

    def choose_again(self, choice: Choice) -> None:
        """Another kernel for the layer, where its weights do not suit the one that shapes alone had chosen."""
        self._choice = choice
        self.sources[-1] = choice.sources

    def kernel(self, source: str, function: str, **values: int | str) -> str:
        """A kernel made for certain sizes, once however often it is asked for; returns its C name."""
        self.kernels[function] = Kernel(source, function, tuple(values.items()))
        return f"{self.prefix}_{function}"

    @property
    def choice(self) -> Choice:
        assert self._choice is not None, "asked outside a layer"
        return self._choice

    @property
    def step(self) -> PlannedStep:
        assert self._step is not None, "asked outside a layer"
        return self._step

    @property
    def direction(self) -> str:
        """The order of the sweep."""
        return self.macro("BACKWARD" if self.step.mode.name == "backward" else "FORWARD")

    @property
    def activation(self) -> str:
        """The epilogue of the layer."""
        return self.macro(f"ACT_{self.choice.activation.upper()}")

    def macro(self, name: str) -> str:
        return f"{self.prefix.upper()}_{name}"

    def address(self, value: Value) -> str:
        """C text of a pointer to a value's first element: arena, caller's memory or constant table."""
        if value in self.placed:
            return self.placed[value]
        place = self.plan.place(value)
        if place.space is Space.INPUT:
            return f"ctx->in_{self.inputs[place.index].name}"
        if place.space is Space.OUTPUT:
            return f"ctx->out_{self.outputs[place.index].name}"
        if place.space is Space.CONSTANT:
            return self.table(value)
        buffer = self.plan.buffers[place.index]
        return self.arena(buffer.offset, value.type.element, buffer.arena)

    def arena(self, offset: int, element: ElementType = ElementType.F32, arena: int = 0) -> str:
        """C text of a pointer to elements in an arena."""
        self.arena_elements.add((arena, element))
        suffix = self.arenas[arena].removeprefix(ARENA)
        return f"{self.prefix}_{ARENA_FUNCTIONS[element]}{suffix}(ctx, 0x{offset:04x}u)"

    def scratch(self, element: ElementType = ElementType.F32) -> str:
        """C text of a pointer to the layer's scratch memory."""
        assert self.step.scratch is not None, "this mode has no scratch memory"
        return self.arena(self.step.scratch.offset, element, self.step.scratch.arena)

    def shape(self, type: str, *values: int | str) -> str:
        """C text of the address of a constant struct of sizes."""
        key = (type, tuple(str(value) for value in values))
        if key not in self._shape_names:
            name = f"{self.prefix}_{type}_{sum(table.type == type for table in self.shapes)}"
            self._shape_names[key] = name
            self.shapes.append(ShapeTable(type, name, key[1]))
        return f"&{self._shape_names[key]}"

    def optional_table(self, value: Value | None) -> str:
        return C_NULL if value is None else self.table(value)

    def table(self, value: Value, layout: str = "", arrange: Callable[[Array], Array] | None = None) -> str:
        """The C name of a constant's elements; `arrange` puts them into the order that `layout` names.

        Raises `MnetError`: MN0720 where the weight is not loaded, MN1112 where it is not finite.
        """
        resource, _ = self.constant(value)
        key = (resource, layout)
        if key not in self._weight_names:
            array = self.constant(value)[1]
            self._weight_names[key] = self.add(resource, arrange(array) if arrange else array, layout)
        return self._weight_names[key]

    def constant(self, value: Value) -> tuple[str, Array]:
        """Name and elements of a constant; checked as `table` says."""
        producer = storage_root(value).producer
        assert isinstance(producer, Constant), "not a constant"
        array = self.module.resources.get(producer.resource)
        if array is None:
            raise MnetError(
                error(
                    "MN0720",
                    f"weights are not loaded: `{producer.resource}`",
                    location=str(producer.location),
                    help="give a weight file with `--weights FILE`, or made-up weights with `--weights random:1`",
                )
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int(np.flatnonzero(~np.isfinite(array.reshape(-1)))[0])
            raise MnetError(
                error(
                    "MN1112",
                    f"weight `{producer.resource}` holds {array.reshape(-1)[bad]} at index {bad}",
                    location=str(producer.location),
                    help="a C constant must be finite: look for a diverged training or a damaged file",
                )
            )
        return producer.resource, array

    def add(self, name: str, values: Array, note: str = "") -> str:
        """A table computed at compile time, once for all rows of a layer; returns its C name."""
        key = (name, note, values.dtype.str, values.tobytes())
        if key in self._tables:
            return self._tables[key]
        own = f"{self.prefix}_w_{self._names.new(name)}"
        sizes = "x".join(map(str, values.shape))
        element = "float" if values.dtype == np.float32 else f"{values.dtype}_t"
        self.weights.append(Weights(own, element, f"{name}  {sizes}{f', {note}' if note else ''}", values))
        self._tables[key] = own
        return own


def arena_names(plan: Plan) -> tuple[str, ...]:
    """C names of the arenas: `arena` where there is one, else with the memories they are for."""
    if len(plan.arenas) == 1:
        return (ARENA,)
    names = Names()
    return tuple(
        names.new(f"{ARENA}_{re.sub('[^a-z0-9]+', '_', found.memory.lower()).strip('_')}") for found in plan.arenas
    )


def layer_label(op: Op) -> str:
    """The layer name for comments and messages."""
    return op.name or op.opcode
