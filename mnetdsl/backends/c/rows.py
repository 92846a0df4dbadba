"""The program of a network whose front runs by rows: units, their schedule, and the layers behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import C_NULL, Emitter, arena_names, layer_label
from mnetdsl.backends.c.identifiers import Names, comment_text, identifier
from mnetdsl.backends.c.lower import (
    PARAMETERS,
    Lowered,
    Options,
    arena_parameters,
    assemble,
    layer_cost,
    layer_of,
    ports,
    rule_of,
    sizes,
    steps_of,
)
from mnetdsl.backends.c.program import ArenaLine, Call, CPort, Layer, RowProgram, Unit
from mnetdsl.backends.c.row_axes import row_axes
from mnetdsl.backends.c.row_bands import row_mode, row_operation, variants
from mnetdsl.backends.c.row_drafts import no_rows
from mnetdsl.backends.c.row_plan import Banded, RowCut, plan_rows
from mnetdsl.backends.c.trips import works
from mnetdsl.cost.instructions import Cost, Work, moved
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.plan import Memory, Plan, PlannedStep, Space
from mnetdsl.plan.result import ScratchBuffer
from mnetdsl.plan.rows import Bands, RowStep, row_bytes
from mnetdsl.targets import Core

FRONT = "rows, the front of the network"
"""Stands for its layers where they are one task of the plan."""
SKIPPED = -1
"""Layer of the unit that takes a row of the image and does nothing with it."""


def plan_row_memory(
    module: Module,
    alignment: int = 4,
    core: Core | None = None,
    memories: Sequence[Memory] = (),
    wanted: Bands | None = None,
) -> RowCut:
    """Front, back and memory of a module; needs shapes only. Raises as `lower_rows`, but for weights."""
    return plan_rows(module, choices_of(module, core), lambda op: rule_of(op, core), alignment, memories, wanted)


def choices_of(module: Module, core: Core | None) -> dict[Op, tuple[Rule[Any], Choice]]:
    steps = steps_of(module, core)
    if any(step.op is None for step in steps):
        raise no_rows(module, "one of its outputs is a constant or an input")
    return {step.op: (step.rule, step.choice) for step in steps if step.op is not None and step.rule is not None}


def lower_rows(module: Module, name: str, options: Options) -> Lowered:
    """As `lower.lower`; also raises MN1115 where no layer of the network runs by rows."""
    prefix = identifier(name)
    cut = plan_row_memory(module, options.alignment, options.core, options.memories, options.bands)
    names = Names((*PARAMETERS, *arena_parameters(cut.plan)))
    inputs, outputs = ports(module.graph.inputs, names), ports(module.graph.outputs, names)
    emitter = Emitter(module, prefix, cut.plan, inputs, outputs)
    steps = {step.op: step for step in steps_of(module, options.core) if step.op is not None}
    layers: list[Layer] = []
    operations: list[Op] = []
    costs: list[tuple[Cost, ...]] = []
    activations: set[str] = set()
    names_of_parts: list[str] = []
    written: list[Written | None] = []
    for number, part in enumerate(cut.parts):
        if isinstance(part, Banded):
            writer = _Writer(module, part, emitter, options.core, len(layers))
            layers += [writer.layer(op) for op in part.layers]
            operations += part.layers
            written.append(writer.units(part is cut.front))
            costs += [tuple(found) for found in writer.costs]
            activations |= writer.activations
            last = layer_label(part.layers[-1])
            names_of_parts.append(FRONT if part is cut.front else f"rows from {layer_label(part.layers[0])} to {last}")
            continue
        layers.append(layer_of(len(layers), steps[part], emitter, outputs, number))
        operations.append(part)
        costs.append(layer_cost(layers[-1], part, emitter))
        activations.add(steps[part].choice.activation)
        names_of_parts.append(layers[-1].name)
        written.append(None)
    rows = _program_of(written, inputs[0])
    program = assemble(module, prefix, options, emitter, layers, activations, rows, names_of_parts.__getitem__)
    if len(cut.plan.arenas) == 1:
        program = replace(program, **_peak(cut, names_of_parts[cut.plan.peak]))
    return Lowered(program, cut.plan, tuple(operations), tuple(costs))


@dataclass(frozen=True)
class Written:
    """Units of one part, of which the first `image_units` read a row of the image, and their order."""

    units: tuple[Unit, ...]
    order: tuple[int, ...]
    image_units: int


def _program_of(parts: Sequence[Written | None], image: CPort) -> RowProgram:
    """Units of all parts have the first numbers, whole layers (None) those behind."""
    units = [unit for part in parts if part is not None for unit in part.units]
    schedule: list[int] = []
    before, layer = 0, len(units)
    for part in parts:
        if part is None:
            schedule.append(layer)
            layer += 1
        else:
            schedule += [before + number for number in part.order]
            before += len(part.units)
    first = parts[0]
    assert first is not None, "a network begins with its front"
    return RowProgram(tuple(units), first.image_units, tuple(schedule), image)


def _peak(cut: RowCut, name: str) -> dict[str, Any]:
    """The part of the lower bound and what meets there: those of rows with their strips."""
    plan = cut.plan
    lines = [ArenaLine(comment_text(b.name), b.offset, b.size) for b in plan.peak_buffers]
    block = plan.steps[plan.peak].scratch
    if isinstance(cut.parts[plan.peak], Banded) and block is not None:
        lines.append(ArenaLine("strips of rows", block.offset, block.size))
    ordered = tuple(sorted(lines, key=lambda line: line.offset))
    return {"peak_layer": comment_text(name), "peak_buffers": ordered}


class Trial:
    """Emits bands of layers that stand in no program, to know what they take."""

    def __init__(self, module: Module, plan: Plan, core: Core | None) -> None:
        self._emitter = Emitter(module, identifier(module.name), plan, (), ())
        self._core = core

    def works(self, op: Op, maps: Sequence[Value]) -> tuple[Work, ...]:
        """Of an operation that `row_operation` made, with its operands that are maps."""
        for value in (*maps, op.result):
            self._emitter.placed[value] = C_NULL
        _, calls = _emitted(op, self._emitter, self._core, ScratchBuffer(0, 0, 1))
        return works(op, calls, self._emitter.shapes)


def _emitted(op: Op, emitter: Emitter, core: Core | None, spot: ScratchBuffer) -> tuple[Choice, tuple[Call, ...]]:
    """A band of a layer whose operands and result have been placed; its own memory begins at `spot`."""
    rule = rule_of(op, core)
    assert rule is not None
    choice = rule.choose(op)
    mode = row_mode(choice)
    scratch = None if mode.scratch is None else ScratchBuffer(spot.offset, mode.scratch.unit, 1, spot.arena)
    emitter.enter(choice, PlannedStep(mode, scratch))
    return choice, tuple(rule.emit(op, emitter))


class _Writer:
    """Emits each unit of a part once, however often its order names it. Its first layer has the number `first`."""

    def __init__(self, module: Module, part: Banded, emitter: Emitter, core: Core | None, first: int) -> None:
        self._part = part
        self._plan = emitter.plan
        self._emitter = emitter
        self._core = core
        self._layers = {op: first + index for index, op in enumerate(part.layers)}
        self._first = first
        self._image = module.graph.inputs[0].value
        self._tasks = {task.writes: index for index, task in enumerate(part.schedule.tasks)}
        self._axes = {op: row_axes(op) or {} for op in part.layers}
        self._variants = {
            op: variants(op, self._axes[op], bands)
            for op, bands in zip(part.operations, part.schedule.bands, strict=True)
            if op is not None
        }
        self.costs: list[list[Cost]] = [[] for _ in self._layers]
        """Of each layer, once its units are written. Copies of the image count for the first one."""
        self._works: dict[object, tuple[int, tuple[Work, ...]]] = {}
        self.activations: set[str] = set()

    def layer(self, op: Op) -> Layer:
        """What is said of a layer; its code stands in units."""
        index, task = self._layers[op], self._tasks[op.result]
        depth, height = self._part.schedule.depths[task], op.type.shape[1]
        place = f"  {PurePath(op.location.file).name}:{op.location.line}" if op.location.file else ""
        shapes = " + ".join(sizes(read.value.type) for read in self._part.schedule.tasks[task].reads)
        first = f"[{index}] {layer_label(op)}  {op.opcode}, {shapes} -> {sizes(op.type)}{place}"
        band = max(self._part.schedule.bands[task].values())
        how = "by rows" if band == 1 else f"by bands of {band} rows at most"
        size = depth * row_bytes(op.result)
        second = f"{how}   out {self._address_text(task)} ({depth} of {height} rows, {size} B)"
        comment = (comment_text(first), comment_text(second))
        return Layer(index, layer_label(op), op.opcode, comment, (), "", op.type.byte_size)

    def _address_text(self, task: int) -> str:
        buffer = self._plan.buffer(self._part.result) if self._is_last(task) else None
        if self._is_last(task) and buffer is None:
            return "output"
        spot = buffer or self._part.strips[task]
        return f"{arena_names(self._plan)[spot.arena]}+0x{spot.offset:04x}"

    def units(self, front: bool) -> Written:
        """Those of the image first. `front`: all rows of the image are taken, whether somebody reads them or not."""
        found: dict[object, tuple[Unit, bool]] = {}
        order: list[object] = []
        taken = 0
        for step in self._part.schedule.steps:
            if step.moved:
                order.append(self._note(found, ("move", step.task, step.moved, step.kept), step))
            takes = any(read.value is self._image for read in self._part.schedule.tasks[step.task].reads)
            taken += takes
            order.append(self._note(found, ("row", step.task, step.slot, self._variant(step)), step))
        missing = self._image.type.shape[1] - taken if front else 0
        if missing:
            found["skip"] = (Unit(SKIPPED, ()), True)
            order += ["skip"] * missing
        keys = sorted(found, key=lambda key: not found[key][1])
        numbers = {key: number for number, key in enumerate(keys)}
        for key, times in Counter(order).items():
            if key in self._works:
                layer, needed = self._works[key]
                self.costs[max(layer - self._first, 0)] += [Cost(work, times) for work in needed]
        image_units = sum(takes for _, takes in found.values())
        return Written(tuple(found[key][0] for key in keys), tuple(numbers[key] for key in order), image_units)

    def _note(self, found: dict[object, tuple[Unit, bool]], key: tuple[object, ...], step: RowStep) -> object:
        if key not in found:
            if key[0] == "move":
                unit, needed = self._move(step)
                found[key] = (unit, False)
            else:
                takes = any(read.value is self._image for read in self._part.schedule.tasks[step.task].reads)
                unit, needed = self._row(step)
                found[key] = (unit, takes)
            self._works[key] = unit.layer, needed
        return key

    def _variant(self, step: RowStep) -> object:
        """What tells apart the units of a task: slots, and how rows meet the border."""
        op = self._part.operations[step.task]
        slots = tuple(part.slot for part in step.parts)
        return slots, None if op is None else self._variants[op][step.row]

    def _move(self, step: RowStep) -> tuple[Unit, tuple[Work, ...]]:
        task = self._part.schedule.tasks[step.task]
        size = row_bytes(task.writes)
        strip = self._strip(step.task, 0)
        op = self._part.operations[step.task]
        self._emitter.sources.append(("rows",))
        call = Call("move_rows", (strip, str(step.moved * size), str(step.kept * size)))
        return Unit(0 if op is None else self._layers[op], (call,)), (moved("move_rows", step.kept * size),)

    def _row(self, step: RowStep) -> tuple[Unit, tuple[Work, ...]]:
        task, op = self._part.schedule.tasks[step.task], self._part.operations[step.task]
        target, size = self._strip(step.task, step.slot), step.rows * row_bytes(task.writes)
        if op is None:
            self._emitter.sources.append(("copy",))
            return Unit(SKIPPED, (Call("copy", (self._input(), target, str(size))),)), (moved("copy_row", size),)
        made, maps = row_operation(op, self._axes[op], self._variants[op][step.row])
        for value, part, read in zip(maps, step.parts, task.reads, strict=True):
            self._emitter.placed[value] = self._operand(read.value, part.slot)
        assert made.type.byte_size == size, "a row of a layer is a layer"
        self._emitter.placed[made.result] = target
        choice, calls = _emitted(made, self._emitter, self._core, self._part.scratch[step.task])
        self.activations.add(choice.activation)
        needed = works(made, calls, self._emitter.shapes)
        made.drop_operands()
        return Unit(self._layers[op], calls, target, size), needed

    def _operand(self, value: Value, slot: int) -> str:
        """C text of a pointer to a row: of the image where it stands, of a strip, or of a map that is there whole."""
        if value is self._image:
            return self._input()
        index = self._tasks.get(value)
        return self._whole(value, slot) if index is None else self._strip(index, slot)

    def _input(self) -> str:
        return f"ctx->in_{self._emitter.inputs[0].name}"

    def _is_last(self, task: int) -> bool:
        return task == len(self._part.schedule.tasks) - 1

    def _strip(self, task: int, slot: int) -> str:
        """C text of a pointer to a row of a strip."""
        value = self._part.schedule.tasks[task].writes
        skipped = slot * row_bytes(value)
        if not self._is_last(task):
            spot = self._part.strips[task]
            return self._emitter.arena(spot.offset + skipped, value.type.element, spot.arena)
        return self._whole(value, slot)

    def _whole(self, value: Value, slot: int) -> str:
        """C text of a pointer to a row of a map that the plan knows."""
        skipped = slot * row_bytes(value)
        place = self._plan.place(value)
        if place.space is Space.ARENA:
            buffer = self._plan.buffers[place.index]
            return self._emitter.arena(buffer.offset + skipped, value.type.element, buffer.arena)
        return f"ctx->out_{self._emitter.outputs[place.index].name} + {skipped // value.type.element.byte_width}"
