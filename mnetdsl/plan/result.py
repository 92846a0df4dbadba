"""What the planner decided: addresses, modes, and what is used of which memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mnetdsl.ir.core import Value
from mnetdsl.plan.storage import Place, Space, storage_root
from mnetdsl.plan.tasks import Mode


@dataclass(frozen=True)
class Memory:
    """RAM that one arena may have. Of several, an earlier one is faster."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Buffer:
    """Bytes [offset, offset + size) of an arena, in use from task `first` to task `last`."""

    name: str
    offset: int
    size: int
    first: int
    last: int
    arena: int = 0


@dataclass(frozen=True)
class ScratchBuffer:
    """Bytes [offset, offset + unit*units) of an arena, in use during one task."""

    offset: int
    unit: int
    units: int
    arena: int = 0

    @property
    def size(self) -> int:
        return self.unit * self.units


@dataclass(frozen=True)
class PlannedStep:
    """How one task runs. `pieces` is where its memory lies, piece by piece, where that was placed so."""

    mode: Mode
    scratch: ScratchBuffer | None
    pieces: tuple[ScratchBuffer, ...] = ()


@dataclass(frozen=True)
class Arena:
    """One piece of memory, and the task in which most of it is in use.

    `bytes` is exact. No placement of the buffers in it, in this order of tasks, needs less than `lower_bound`.
    `memory` names where it is to lie, empty where that is the caller's choice; `available` is what there is, None where
    nobody said. `accesses` are bytes that kernels read and write in it, each operand of a task counted once.
    """

    memory: str
    available: int | None
    bytes: int
    lower_bound: int
    peak: int
    peak_buffers: tuple[Buffer, ...]
    accesses: int = 0

    @property
    def excess(self) -> int:
        """Bytes that are missing."""
        return 0 if self.available is None else max(0, self.bytes - self.available)


@dataclass(frozen=True, eq=False)
class Plan:
    """Addresses of everything.

    `arena_bytes`, those of all `arenas`, is exact: the last byte of each belongs to a buffer. No placement of these
    tasks, in this order, needs less than `lower_bound`, which is set by task `peak` and the `peak_buffers` that meet
    there. There is one arena, unless the network fits into several memories only.
    """

    arena_bytes: int
    alignment: int
    lower_bound: int
    peak: int
    peak_buffers: tuple[Buffer, ...]
    buffers: tuple[Buffer, ...]
    steps: tuple[PlannedStep, ...]
    places: Mapping[Value, Place]
    arenas: tuple[Arena, ...]

    def place(self, value: Value) -> Place:
        """Where a value lives, reshapes followed."""
        return self.places[storage_root(value)]

    def buffer(self, value: Value) -> Buffer | None:
        """The arena buffer of a value; None where it lies in the caller's memory or is a constant."""
        place = self.place(value)
        return self.buffers[place.index] if place.space is Space.ARENA else None

    @property
    def fits(self) -> bool:
        """Whether each arena fits into its memory."""
        return not any(arena.excess for arena in self.arenas)
