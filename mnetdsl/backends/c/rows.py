"""The program of a network whose front runs by rows: units, their schedule, and the layers behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.emitter import Emitter, arena_names, layer_label
from mnetdsl.backends.c.identifiers import Names, comment_text, identifier
from mnetdsl.backends.c.lower import (
    PARAMETERS,
    Lowered,
    Options,
    Step,
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
from mnetdsl.backends.c.row_plan import (
    RowCut,
    no_rows,
    plan_rows,
    row_axes,
    row_bytes,
    row_mode,
    row_operation,
    variants,
)
from mnetdsl.cost.instructions import Cost, Work, moved, work
from mnetdsl.ir.core import Module, Op
from mnetdsl.plan import Memory, PlannedStep, Space
from mnetdsl.plan.result import ScratchBuffer
from mnetdsl.plan.rows import Bands, RowStep
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
    front = [op for op in cut.front if op is not None]
    emitter = Emitter(module, prefix, cut.plan, inputs, outputs)
    writer = _Writer(module, cut, emitter, options.core)
    layers = [writer.front_layer(index, op) for index, op in enumerate(front)]
    units, schedule, image_units = writer.units()
    activations = set(writer.activations)
    steps = {step.op: step for step in steps_of(module, options.core) if step.op is not None}
    for index, op in enumerate(cut.back):
        activations.add(steps[op].choice.activation)
        layers.append(_back_layer(len(front) + index, 1 + index, steps[op], emitter, outputs))
        schedule.append(len(units) + index)
    rows = RowProgram(tuple(units), image_units, tuple(schedule), inputs[0])

    def name_of(task: int) -> str:
        return layers[len(front) + task - 1].name if task > 0 else FRONT

    program = assemble(module, prefix, options, emitter, layers, activations, rows, name_of)
    if len(cut.plan.arenas) == 1:
        program = replace(program, **_peak(cut, name_of(cut.plan.peak)))
    behind = [layer_cost(layer, op) for layer, op in zip(layers[len(front) :], cut.back, strict=True)]
    costs = (*(tuple(found) for found in writer.costs), *behind)
    return Lowered(program, cut.plan, (*front, *cut.back), costs)


def _peak(cut: RowCut, name: str) -> dict[str, Any]:
    """The layer of the lower bound and what meets there: that is the front with its strips, or a layer behind it."""
    plan = cut.plan
    lines = [ArenaLine(comment_text(b.name), b.offset, b.size) for b in plan.peak_buffers]
    block = plan.steps[plan.peak].scratch
    if plan.peak == 0 and block is not None:
        lines.append(ArenaLine("strips of rows", block.offset, block.size))
    ordered = tuple(sorted(lines, key=lambda line: line.offset))
    return {"peak_layer": comment_text(name), "peak_buffers": ordered}


def _back_layer(index: int, planned: int, step: Step, emitter: Emitter, outputs: Sequence[CPort]) -> Layer:
    return layer_of(index, step, emitter, outputs, planned)


class _Writer:
    """Emits each unit once, however often the schedule names it."""

    def __init__(self, module: Module, cut: RowCut, emitter: Emitter, core: Core | None) -> None:
        self._module = module
        self._cut = cut
        self._emitter = emitter
        self._core = core
        self._layers = {op: index for index, op in enumerate(op for op in cut.front if op is not None)}
        self._image = module.graph.inputs[0].value
        self._tasks = {task.writes: index for index, task in enumerate(cut.schedule.tasks)}
        self._axes = {op: row_axes(op) or {} for op in cut.front if op is not None}
        self._variants = {
            op: variants(op, self._axes[op], bands)
            for op, bands in zip(cut.front, cut.schedule.bands, strict=True)
            if op is not None
        }
        self.costs: list[list[Cost]] = [[] for _ in self._layers]
        """Of each layer of the front, once its units are written. Copies of the image count for the first one."""
        self._works: dict[object, tuple[int, Work]] = {}
        self.activations: set[str] = set()

    def front_layer(self, index: int, op: Op) -> Layer:
        """What is said of a layer; its code stands in units."""
        task = self._tasks[op.result]
        depth, height = self._cut.schedule.depths[task], op.type.shape[1]
        place = f"  {PurePath(op.location.file).name}:{op.location.line}" if op.location.file else ""
        shapes = " + ".join(sizes(read.value.type) for read in self._cut.schedule.tasks[task].reads)
        first = f"[{index}] {layer_label(op)}  {op.opcode}, {shapes} -> {sizes(op.type)}{place}"
        band = max(self._cut.schedule.bands[task].values())
        how = "by rows" if band == 1 else f"by bands of {band} rows at most"
        size = depth * row_bytes(op.result)
        second = f"{how}   out {self._address_text(task)} ({depth} of {height} rows, {size} B)"
        comment = (comment_text(first), comment_text(second))
        return Layer(index, layer_label(op), op.opcode, comment, (), "", op.type.byte_size)

    def _address_text(self, task: int) -> str:
        buffer = self._cut.plan.buffer(self._cut.result) if self._is_last(task) else None
        if self._is_last(task) and buffer is None:
            return "output"
        spot = buffer or self._cut.strips[task]
        return f"{arena_names(self._cut.plan)[spot.arena]}+0x{spot.offset:04x}"

    def units(self) -> tuple[list[Unit], list[int], int]:
        """Units, those of the image first, the schedule of the front, and how many the first are."""
        found: dict[object, tuple[Unit, bool]] = {}
        order: list[object] = []
        taken = 0
        for step in self._cut.schedule.steps:
            if step.moved:
                order.append(self._note(found, ("move", step.task, step.moved, step.kept), step))
            takes = any(read.value is self._image for read in self._cut.schedule.tasks[step.task].reads)
            taken += takes
            order.append(self._note(found, ("row", step.task, step.slot, self._variant(step)), step))
        missing = self._image.type.shape[1] - taken
        if missing:
            found["skip"] = (Unit(SKIPPED, ()), True)
            order += ["skip"] * missing
        keys = sorted(found, key=lambda key: not found[key][1])
        numbers = {key: number for number, key in enumerate(keys)}
        units = [found[key][0] for key in keys]
        for key, times in Counter(order).items():
            if key in self._works:
                layer, needed = self._works[key]
                self.costs[max(layer, 0)].append(Cost(needed, times))
        return units, [numbers[key] for key in order], sum(takes for _, takes in found.values())

    def _note(self, found: dict[object, tuple[Unit, bool]], key: tuple[object, ...], step: RowStep) -> object:
        if key not in found:
            if key[0] == "move":
                unit, needed = self._move(step)
                found[key] = (unit, False)
            else:
                takes = any(read.value is self._image for read in self._cut.schedule.tasks[step.task].reads)
                unit, needed = self._row(step)
                found[key] = (unit, takes)
            self._works[key] = unit.layer, needed
        return key

    def _variant(self, step: RowStep) -> object:
        """What tells apart the units of a task: slots, and how rows meet the border."""
        op = self._cut.front[step.task]
        slots = tuple(part.slot for part in step.parts)
        return slots, None if op is None else self._variants[op][step.row]

    def _move(self, step: RowStep) -> tuple[Unit, Work]:
        task = self._cut.schedule.tasks[step.task]
        size = row_bytes(task.writes)
        strip = self._strip(step.task, 0)
        op = self._cut.front[step.task]
        self._emitter.sources.append(("rows",))
        call = Call("move_rows", (strip, str(step.moved * size), str(step.kept * size)))
        return Unit(0 if op is None else self._layers[op], (call,)), moved("move_rows", step.kept * size)

    def _row(self, step: RowStep) -> tuple[Unit, Work]:
        task, op = self._cut.schedule.tasks[step.task], self._cut.front[step.task]
        target, size = self._strip(step.task, step.slot), step.rows * row_bytes(task.writes)
        if op is None:
            self._emitter.sources.append(("copy",))
            return Unit(SKIPPED, (Call("copy", (self._input(), target, str(size))),)), moved("copy_row", size)
        made, maps = row_operation(op, self._axes[op], self._variants[op][step.row])
        for value, part, read in zip(maps, step.parts, task.reads, strict=True):
            index = self._tasks.get(read.value)
            self._emitter.placed[value] = self._input() if index is None else self._strip(index, part.slot)
        assert made.type.byte_size == size, "a row of a layer is a layer"
        self._emitter.placed[made.result] = target
        rule = rule_of(made, self._core)
        assert rule is not None
        choice = rule.choose(made)
        mode = row_mode(choice)
        spot = self._cut.scratch[step.task]
        scratch = None if mode.scratch is None else ScratchBuffer(spot.offset, mode.scratch.unit, 1, spot.arena)
        self._emitter.enter(choice, PlannedStep(mode, scratch))
        calls = tuple(rule.emit(made, self._emitter))
        self.activations.add(choice.activation)
        needed = work(made, [call.function for call in calls])
        made.drop_operands()
        return Unit(self._layers[op], calls, target, size), needed

    def _input(self) -> str:
        return f"ctx->in_{self._emitter.inputs[0].name}"

    def _is_last(self, task: int) -> bool:
        return task == len(self._cut.schedule.tasks) - 1

    def _strip(self, task: int, slot: int) -> str:
        """C text of a pointer to a row of a strip."""
        value = self._cut.schedule.tasks[task].writes
        skipped = slot * row_bytes(value)
        if not self._is_last(task):
            spot = self._cut.strips[task]
            return self._emitter.arena(spot.offset + skipped, value.type.element, spot.arena)
        place = self._cut.plan.place(value)
        if place.space is Space.ARENA:
            buffer = self._cut.plan.buffers[place.index]
            return self._emitter.arena(buffer.offset + skipped, value.type.element, buffer.arena)
        return f"ctx->out_{self._emitter.outputs[place.index].name} + {skipped // value.type.element.byte_width}"
