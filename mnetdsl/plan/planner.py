"""From tasks to addresses: what meets what, how far apart it must lie, and which mode each kernel then runs in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mnetdsl.ir.core import Graph, Value
from mnetdsl.plan.bound import Meeting, meeting_bound
from mnetdsl.plan.placement import Interval, Layout, find_offsets
from mnetdsl.plan.storage import Lifetime, Place, Space, external_places, lifetimes, storage_root
from mnetdsl.plan.tasks import Mode, Scratch, Task


@dataclass(frozen=True)
class Buffer:
    """Bytes [offset, offset + size) of the arena, in use from task `first` to task `last`."""

    name: str
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class ScratchBuffer:
    """Bytes [offset, offset + unit*units) of the arena, in use during one task."""

    offset: int
    unit: int
    units: int

    @property
    def size(self) -> int:
        return self.unit * self.units


@dataclass(frozen=True)
class PlannedStep:
    """How one task runs."""

    mode: Mode
    scratch: ScratchBuffer | None


@dataclass(frozen=True, eq=False)
class Plan:
    """Addresses of everything.

    `arena_bytes` is exact: the last byte belongs to a buffer. No placement of these tasks, in this order, needs less
    than `lower_bound`, which is set by task `peak` and the `peak_buffers` that meet there.
    """

    arena_bytes: int
    alignment: int
    lower_bound: int
    peak: int
    peak_buffers: tuple[Buffer, ...]
    buffers: tuple[Buffer, ...]
    steps: tuple[PlannedStep, ...]
    places: Mapping[Value, Place]

    def place(self, value: Value) -> Place:
        """Where a value lives, reshapes followed."""
        return self.places[storage_root(value)]

    def buffer(self, value: Value) -> Buffer | None:
        """The arena buffer of a value; None where it lies in the caller's memory or is a constant."""
        place = self.place(value)
        return self.buffers[place.index] if place.space is Space.ARENA else None


def make_plan(
    graph: Graph, tasks: Sequence[Task], alignment: int = 4, copies: Mapping[Value, Place] | None = None
) -> Plan:
    """Places every tensor of `tasks`, which run in the order given; all addresses are multiples of `alignment`.

    `copies` are values that tasks write to a place outside the arena, beside those that the graph itself tells.

    Kernels without scratch memory are preferred where they reach the same arena.
    """
    simple = [replace(task, modes=task.modes_without_scratch or task.modes) for task in tasks]
    external = external_places(graph) | dict(copies or {})
    full = _Problem(external, tasks, alignment)
    if any(len(few.modes) < len(task.modes) for few, task in zip(simple, tasks, strict=True)):
        simple_plan = _Problem(external, simple, alignment).solve(full.bound)
        if simple_plan.arena_bytes <= (plan := full.solve(full.bound)).arena_bytes:
            return replace(simple_plan, lower_bound=full.bound, peak=plan.peak, peak_buffers=full.at_peak(simple_plan))
        return plan
    return full.solve(full.bound)


class _Problem:
    """Buffers, scratch memory included, and the pairs of them that meet."""

    def __init__(self, external: Mapping[Value, Place], tasks: Sequence[Task], alignment: int) -> None:
        self.tasks = tasks
        self.alignment = alignment
        living = lifetimes(tasks, external)
        self.lives: list[Lifetime] = list(living.values())
        self.places = dict(external) | {value: Place(Space.ARENA, i) for i, value in enumerate(living)}
        self.meetings = [self._meeting(index) for index in range(len(tasks))]
        self.tensors = len(self.lives)
        self.scratch: dict[int, int] = {}
        for index, task in enumerate(tasks):
            units = [mode.scratch.unit for mode in task.modes if mode.scratch is not None]
            if units and (self.meetings[index].dying or not task.modes_without_scratch):
                self.scratch[index] = len(self.lives)
                self.lives.append(Lifetime(f"{task.name} (scratch)", max(units), index, index))
        self.sizes = tuple(life.size for life in self.lives)
        self.bounds = [
            meeting_bound(meeting, task.modes, self.sizes) for meeting, task in zip(self.meetings, tasks, strict=True)
        ]
        self.bound = max(self.bounds, default=0)
        self.peak = self.bounds.index(self.bound) if self.bounds else 0

    def _meeting(self, index: int) -> Meeting:
        task = self.tasks[index]
        output = self._arena_index(task.writes)
        operands: dict[int, list[int]] = {}
        for operand, value in enumerate(task.reads):
            buffer = self._arena_index(value)
            if buffer is not None and self.lives[buffer].last == index and task.clearance(operand) is not None:
                operands.setdefault(buffer, []).append(operand)
        dying = {
            buffer: tuple(found)
            for buffer, found in operands.items()
            if len(found) == sum(self._arena_index(value) == buffer for value in task.reads)
        }
        alive = [i for i, life in enumerate(self.lives) if life.first <= index <= life.last]
        others = tuple(i for i in alive if i != output and i not in dying)
        return Meeting(output, tuple(dying.items()), others)

    def _arena_index(self, value: Value) -> int | None:
        place = self.places[storage_root(value)]
        return place.index if place.space is Space.ARENA else None

    def solve(self, bound: int) -> Plan:
        """The best plan found; the modes of tasks that read several dying buffers are tried one by one."""
        chosen = {
            index: 0
            for index, meeting in enumerate(self.meetings)
            if sum(len(operands) for _, operands in meeting.dying) > 1 and len(self.tasks[index].modes) > 1
        }
        offsets, top = find_offsets(self._layout(chosen), self._starts(), bound)
        for index in sorted(chosen, key=lambda i: (-self.bounds[i], i))[:_MODE_TRIALS]:
            for mode in range(1, len(self.tasks[index].modes)):
                if top <= bound:
                    break
                trial = chosen | {index: mode}
                trial_offsets, trial_top = find_offsets(self._layout(trial), self._starts(), bound)
                if trial_top < top:
                    offsets, top, chosen = trial_offsets, trial_top, trial
        return self._finish(offsets)

    def _starts(self) -> list[list[int]]:
        """Orders to begin with: large ones first, long-lived large ones first, those of the fullest tasks first."""
        indices = range(len(self.lives))

        def load(index: int) -> int:
            life = self.lives[index]
            return max(self.bounds[life.first : life.last + 1])

        return [
            sorted(indices, key=lambda i: (-self.sizes[i], self.lives[i].first)),
            sorted(indices, key=lambda i: (-self.sizes[i] * (self.lives[i].last - self.lives[i].first + 1), i)),
            sorted(indices, key=lambda i: (-load(i), -self.sizes[i], i)),
            sorted(indices, key=lambda i: (-load(i), self.sizes[i], i)),
            list(indices),
            list(reversed(indices)),
        ]

    def _layout(self, chosen: Mapping[int, int]) -> Layout:
        """Forbidden distances of all pairs; `chosen` fixes the mode of some tasks, others may run in any."""
        forbidden: list[dict[int, tuple[Interval, ...]]] = [{} for _ in self.lives]
        for i, first in enumerate(self.lives):
            for j in range(i):
                second = self.lives[j]
                if first.first <= second.last and second.first <= first.last:
                    forbidden[i][j] = ((-first.size, second.size),)
        for index, meeting in enumerate(self.meetings):
            if meeting.output is None:
                continue
            for buffer, operands in meeting.dying:
                intervals: list[Interval] = []
                for operand in operands:
                    intervals += self._intervals(index, operand, chosen.get(index), meeting.output, buffer)
                forbidden[meeting.output][buffer] = tuple(intervals)
        for i in range(len(self.lives)):
            for j, intervals_of_pair in forbidden[i].items():
                if j < i:
                    forbidden[j][i] = tuple((-high, -low) for low, high in intervals_of_pair)
        return Layout(self.sizes, tuple(forbidden), self.alignment)

    def _intervals(self, task: int, operand: int, mode: int | None, output: int, buffer: int) -> list[Interval]:
        clearance = self.tasks[task].clearance(operand)
        if mode is not None:
            clearance = self.tasks[task].modes[mode].clearances[operand]
        if clearance is None:
            return [(-self.sizes[output], self.sizes[buffer])]
        low = -min(clearance.below, self.sizes[output])
        high = min(clearance.above, self.sizes[buffer])
        halves = [(low, 0), (0, high)] if clearance.same else [(low, high)]
        return [(a, b) for a, b in halves if a < b]

    def _finish(self, offsets: list[int]) -> Plan:
        """Fixes each task's mode, drops scratch memory that it does not need, widens the rest into free bytes."""
        modes = [self._mode(index, offsets) for index in range(len(self.tasks))]
        used = {index: self.scratch[index] for index, mode in enumerate(modes) if mode.scratch is not None}
        top = max(
            (offsets[i] + self.sizes[i] for i in (*range(self.tensors), *used.values())),
            default=0,
        )
        steps = []
        for index, mode in enumerate(modes):
            scratch = None
            if mode.scratch is not None:
                scratch = self._widen(self.meetings[index], mode.scratch, offsets, offsets[used[index]], top)
            steps.append(PlannedStep(mode, scratch))
        buffers = tuple(
            Buffer(life.name, offset, life.size, life.first, life.last)
            for life, offset in zip(self.lives[: self.tensors], offsets, strict=False)
        )
        plan = Plan(
            arena_bytes=top,
            alignment=self.alignment,
            lower_bound=self.bound,
            peak=self.peak,
            peak_buffers=(),
            buffers=buffers,
            steps=tuple(steps),
            places=self.places,
        )
        return replace(plan, peak_buffers=self.at_peak(plan))

    def at_peak(self, plan: Plan) -> tuple[Buffer, ...]:
        """The buffers of a plan for these tensors that are alive in the fullest task."""
        return tuple(plan.buffers[i] for i in self.meetings[self.peak].buffers) if self.meetings else ()

    def _mode(self, index: int, offsets: list[int]) -> Mode:
        meeting = self.meetings[index]
        for mode in self.tasks[index].modes:
            if meeting.output is None:
                return mode
            output = offsets[meeting.output]
            if all(
                _apart(output, self.sizes[meeting.output], offsets[buffer], self.sizes[buffer])
                or all(_allows(mode, operand, output - offsets[buffer]) for operand in operands)
                for buffer, operands in meeting.dying
            ):
                return mode
        raise AssertionError(f"no mode of {self.tasks[index].name} fits its placement")

    def _widen(self, meeting: Meeting, scratch: Scratch, offsets: list[int], fallback: int, top: int) -> ScratchBuffer:
        """As many channels at a time as fit between the buffers alive, without a larger arena."""
        taken = sorted((offsets[i], offsets[i] + self.sizes[i]) for i in meeting.buffers)
        counts = [scratch.units, *(1 << bit for bit in range(scratch.units.bit_length() - 1, 0, -1))]
        for units in counts:
            address = 0
            for begin, end in taken:
                if address + scratch.unit * units <= begin:
                    break
                address = max(address, -(-end // self.alignment) * self.alignment)
            if address + scratch.unit * units <= top:
                return ScratchBuffer(address, scratch.unit, units)
        return ScratchBuffer(fallback, scratch.unit, 1)


_MODE_TRIALS = 4


def _apart(first: int, first_size: int, second: int, second_size: int) -> bool:
    return first + first_size <= second or second + second_size <= first


def _allows(mode: Mode, operand: int, difference: int) -> bool:
    clearance = mode.clearances[operand]
    return clearance is not None and clearance.allows(difference)
