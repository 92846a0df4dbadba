"""From tasks to addresses: what meets what, how far apart it must lie, and which mode each kernel then runs in."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from mnetdsl.ir.core import Graph, Value
from mnetdsl.plan.bound import Meeting, meeting_bound
from mnetdsl.plan.placement import Interval, Layout, find_offsets
from mnetdsl.plan.result import Arena, Buffer, Memory, Plan, PlannedStep, ScratchBuffer
from mnetdsl.plan.spread import Spread, spread
from mnetdsl.plan.storage import Lifetime, Place, Space, external_places, lifetimes, storage_root
from mnetdsl.plan.tasks import Mode, Scratch, Task


def make_plan(
    graph: Graph,
    tasks: Sequence[Task],
    alignment: int = 4,
    copies: Mapping[Value, Place] | None = None,
    memories: Sequence[Memory] = (),
) -> Plan:
    """Places every tensor of `tasks`, which run in the order given; all addresses are multiples of `alignment`.

    `copies` are values that tasks write to a place outside the arena, beside those that the graph itself tells.
    `memories` are what there is, the fastest first. Where none of them holds everything, buffers are spread over them,
    and where that fails as well, the largest one has an `excess` in the plan.

    Kernels without scratch memory are preferred where they reach the same arena.
    """
    external = external_places(graph) | dict(copies or {})
    plan = _one_arena(external, tasks, alignment)
    if not memories:
        return plan
    roomy = [memory for memory in memories if memory.bytes >= plan.arena_bytes]
    if roomy or len(memories) == 1:
        return _named(plan, (roomy or memories)[0])
    torn = [_torn(task) for task in tasks]
    problem = _Problem(external, torn, alignment)
    for kind in (problem, _Problem(external, [_simple(task) for task in torn], alignment)):
        found = kind.spread(memories)
        if found.fits:
            return found
    largest = max(range(len(memories)), key=lambda i: (memories[i].bytes, -i))
    order = [*(i for i in range(len(memories)) if i != largest), largest]
    return problem.spread([memories[i] for i in order])


def _one_arena(external: Mapping[Value, Place], tasks: Sequence[Task], alignment: int) -> Plan:
    simple = [_simple(task) for task in tasks]
    full = _Problem(external, tasks, alignment)
    if any(len(few.modes) < len(task.modes) for few, task in zip(simple, tasks, strict=True)):
        simple_plan = _Problem(external, simple, alignment).solve(full.bound)
        if simple_plan.arena_bytes <= (plan := full.solve(full.bound)).arena_bytes:
            met = full.at_peak(simple_plan)
            return _with_peak(simple_plan, full.bound, plan.peak, met)
        return plan
    return full.solve(full.bound)


def _with_peak(plan: Plan, bound: int, peak: int, met: tuple[Buffer, ...]) -> Plan:
    """The plan of one arena with another lower bound."""
    arena = replace(plan.arenas[0], lower_bound=bound, peak=peak, peak_buffers=met)
    return replace(plan, lower_bound=bound, peak=peak, peak_buffers=met, arenas=(arena,))


def _named(plan: Plan, memory: Memory) -> Plan:
    return replace(plan, arenas=(replace(plan.arenas[0], memory=memory.name, available=memory.bytes),))


def _simple(task: Task) -> Task:
    """The task without the modes that need memory of their own, where it has others."""
    return replace(task, modes=task.modes_without_scratch or task.modes)


def _torn(task: Task) -> Task:
    """The task with its memory in pieces."""
    return task if task.pieces is None else replace(task, modes=tuple(replace(m, scratch=None) for m in task.modes))


class _Problem:
    """Buffers, scratch memory included, and the pairs of them that meet. A task has scratch memory or pieces."""

    def __init__(self, external: Mapping[Value, Place], tasks: Sequence[Task], alignment: int) -> None:
        self.tasks = tasks
        self.alignment = alignment
        living = lifetimes(tasks, external)
        self.lives: list[Lifetime] = list(living.values())
        self.places = dict(external) | {value: Place(Space.ARENA, i) for i, value in enumerate(living)}
        self.meetings = [self._meeting(index) for index in range(len(tasks))]
        self.tensors = len(self.lives)
        self.scratch: dict[int, int] = {}
        self.pieces: dict[int, range] = {}
        for index, task in enumerate(tasks):
            units = [mode.scratch.unit for mode in task.modes if mode.scratch is not None]
            if units and (self.meetings[index].dying or not task.modes_without_scratch):
                self.scratch[index] = len(self.lives)
                self.lives.append(Lifetime(f"{task.name} (scratch)", max(units), index, index))
            elif task.pieces is not None and not units:
                self.pieces[index] = range(len(self.lives), len(self.lives) + len(task.pieces.sizes))
                named = zip(task.pieces.names, task.pieces.sizes, strict=True)
                self.lives += [Lifetime(name, size, index, index) for name, size in named]
        self.sizes = tuple(life.size for life in self.lives)
        self.bounds = self._bounds(range(len(self.lives)))
        self.bound = max(self.bounds, default=0)
        self.peak = self.bounds.index(self.bound) if self.bounds else 0

    def _bounds(self, inside: Collection[int]) -> list[int]:
        """Least bytes of each task for some of the buffers."""
        found, chosen = [], frozenset(inside)
        for index, (meeting, task) in enumerate(zip(self.meetings, self.tasks, strict=True)):
            modes: Sequence[Mode] = task.modes
            if index in self.scratch and self.scratch[index] not in chosen:
                modes = [replace(mode, scratch=None) for mode in modes]
            least = meeting_bound(meeting.among(chosen), modes, self.sizes)
            if task.pieces is not None and index in self.pieces:
                own = self.pieces[index]
                least += task.pieces.least([i - own.start for i in own if i in chosen])
            found.append(least)
        return found

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
        chosen = self._first_modes()
        offsets, top = find_offsets(self._layout(chosen), self._starts(), bound)
        for index in sorted(chosen, key=lambda i: (-self.bounds[i], i))[:_MODE_TRIALS]:
            for mode in range(1, len(self.tasks[index].modes)):
                if top <= bound:
                    break
                trial = chosen | {index: mode}
                trial_offsets, trial_top = find_offsets(self._layout(trial), self._starts(), bound)
                if trial_top < top:
                    offsets, top, chosen = trial_offsets, trial_top, trial
        return self._finish(offsets, [0] * len(offsets), ())

    def _first_modes(self) -> dict[int, int]:
        """Of tasks that read several dying buffers, where no mixture of modes may be taken for one."""
        return {
            index: 0
            for index, meeting in enumerate(self.meetings)
            if sum(len(operands) for _, operands in meeting.dying) > 1 and len(self.tasks[index].modes) > 1
        }

    def spread(self, memories: Sequence[Memory]) -> Plan:
        """The best plan found that puts each buffer into one of the memories; the last may be exceeded."""
        found: Spread = spread(
            self._layout(self._first_modes()),
            self._starts(),
            self._accesses(),
            [memory.bytes for memory in memories],
            lambda inside: max(self._bounds(inside), default=0),
        )
        return self._finish(found.offsets, found.memories, memories)

    def _accesses(self) -> list[int]:
        """Bytes read and written by buffer. What a task reads goes through its scratch memory, if it has any."""
        counts = [0] * len(self.lives)
        for index, task in enumerate(self.tasks):
            for value in (*task.reads, task.writes):
                buffer = self._arena_index(value)
                if buffer is not None:
                    counts[buffer] += self.sizes[buffer]
            if index in self.scratch:
                counts[self.scratch[index]] = 2 * sum(value.type.byte_size for value in task.reads)
            if task.pieces is not None and index in self.pieces:
                for buffer, accesses in zip(self.pieces[index], task.pieces.accesses, strict=True):
                    counts[buffer] = accesses
        return counts

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
        for index, own in self.pieces.items():
            pieces = self.tasks[index].pieces
            assert pieces is not None, "a task with pieces"
            meets = pieces.meets()
            for i, j in itertools.combinations(own, 2):
                if not meets[i - own.start, j - own.start]:
                    del forbidden[j][i]
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

    def _finish(self, offsets: Sequence[int], arenas: Sequence[int], memories: Sequence[Memory]) -> Plan:
        """Fixes each task's mode, drops scratch memory that it does not need, widens the rest into free bytes.

        `arenas` are the numbers of the buffers' memories; all 0 where there is no choice.
        """
        modes = [self._mode(index, offsets, arenas) for index in range(len(self.tasks))]
        used = {index: self.scratch[index] for index, mode in enumerate(modes) if mode.scratch is not None}
        kept = [*range(self.tensors), *used.values(), *(i for own in self.pieces.values() for i in own)]
        numbers = sorted({arenas[i] for i in kept if self.sizes[i] > 0}) or [0]
        tops = {
            arena: max((offsets[i] + self.sizes[i] for i in kept if arenas[i] == arena), default=0) for arena in numbers
        }
        where = {arena: number for number, arena in enumerate(numbers)}
        buffers = [
            Buffer(life.name, offsets[i], life.size, life.first, life.last, where.get(arenas[i], 0))
            for i, life in enumerate(self.lives)
        ]
        steps = []
        for index, mode in enumerate(modes):
            scratch = None
            if mode.scratch is not None:
                own = used[index]
                alive = [i for i in self.meetings[index].buffers if arenas[i] == arenas[own]]
                scratch = self._widen(alive, mode.scratch, offsets, offsets[own], tops[arenas[own]])
                scratch = replace(scratch, arena=where[arenas[own]])
            pieces = tuple(
                ScratchBuffer(buffers[i].offset, buffers[i].size, 1, buffers[i].arena)
                for i in self.pieces.get(index, ())
            )
            steps.append(PlannedStep(mode, scratch, pieces))
        accesses = self._accesses()
        plan = Plan(
            arena_bytes=sum(tops.values()),
            alignment=self.alignment,
            lower_bound=self.bound,
            peak=self.peak,
            peak_buffers=(),
            buffers=tuple(buffers[: self.tensors]),
            steps=tuple(steps),
            places=self.places,
            arenas=(),
        )
        found = []
        for arena in numbers:
            inside = [i for i in kept if arenas[i] == arena]
            bounds = self._bounds(inside) if len(numbers) > 1 else self.bounds
            peak = bounds.index(max(bounds)) if bounds else 0
            met = [i for i in self._alive_at(peak) if i in inside and (i < self.tensors or len(numbers) > 1)]
            found.append(
                Arena(
                    memory=memories[arena].name if memories else "",
                    available=memories[arena].bytes if memories else None,
                    bytes=tops[arena],
                    lower_bound=max(bounds, default=0),
                    peak=peak,
                    peak_buffers=tuple(buffers[i] for i in met),
                    accesses=sum(accesses[i] for i in inside),
                )
            )
        return replace(plan, peak_buffers=self.at_peak(plan), arenas=tuple(found))

    def _alive_at(self, task: int) -> list[int]:
        """Buffers that meet in a task, its memory included."""
        return [i for i, life in enumerate(self.lives) if life.first <= task <= life.last]

    def at_peak(self, plan: Plan) -> tuple[Buffer, ...]:
        """The buffers of a plan for these tensors that are alive in the fullest task."""
        return tuple(plan.buffers[i] for i in self.meetings[self.peak].buffers) if self.meetings else ()

    def _mode(self, index: int, offsets: Sequence[int], arenas: Sequence[int]) -> Mode:
        meeting = self.meetings[index]
        for mode in self.tasks[index].modes:
            if meeting.output is None:
                return mode
            output = offsets[meeting.output]
            if all(
                arenas[buffer] != arenas[meeting.output]
                or _apart(output, self.sizes[meeting.output], offsets[buffer], self.sizes[buffer])
                or all(_allows(mode, operand, output - offsets[buffer]) for operand in operands)
                for buffer, operands in meeting.dying
            ):
                return mode
        raise AssertionError(f"no mode of {self.tasks[index].name} fits its placement")

    def _widen(
        self, alive: Sequence[int], scratch: Scratch, offsets: Sequence[int], fallback: int, top: int
    ) -> ScratchBuffer:
        """As many channels at a time as fit between the buffers alive, without a larger arena."""
        taken = sorted((offsets[i], offsets[i] + self.sizes[i]) for i in alive)
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
