"""What a backend tells the planner about one kernel call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.core import Value


@dataclass(frozen=True)
class Clearance:
    """Where the output may lie relative to an input that dies in the task: any one of the three suffices.

    `above`: output address - input address >= above. `below`: input address - output address >= below.
    `same`: both addresses are equal.
    """

    above: int
    below: int
    same: bool = False

    def allows(self, difference: int) -> bool:
        """Whether the output may lie `difference` bytes above the input."""
        return difference >= self.above or -difference >= self.below or (self.same and difference == 0)

    def either(self, other: Clearance) -> Clearance:
        """What one of two modes allows."""
        return Clearance(min(self.above, other.above), min(self.below, other.below), self.same or other.same)


@dataclass(frozen=True)
class Scratch:
    """Memory of one task only: `unit` bytes for each of 1 to `units` channels worked on at a time."""

    unit: int
    units: int


@dataclass(frozen=True, eq=False)
class Pieces:
    """Memory of one task in pieces that need not lie together: `alive[piece, moment]` says when each is in use.

    `accesses` are bytes that are read and written in each.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    accesses: tuple[int, ...]
    alive: NDArray[np.bool_]

    def meets(self) -> NDArray[np.bool_]:
        """[piece, piece]: whether both are in use at some moment."""
        used = self.alive.astype(np.float32)
        met: NDArray[np.bool_] = used @ used.T > 0
        return met

    def least(self, pieces: Sequence[int]) -> int:
        """Bytes that some of them need at least."""
        sizes = np.array(self.sizes, np.int64)[list(pieces)]
        return int((self.alive[list(pieces)] * sizes[:, None]).sum(axis=0).max(initial=0))


@dataclass(frozen=True)
class Mode:
    """A way of running a kernel. `clearances` stand beside the task's reads; None keeps the two apart."""

    name: str
    clearances: tuple[Clearance | None, ...]
    scratch: Scratch | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """One kernel call. `modes` are in order of preference; each must work where nothing overlaps.

    `pieces` is the scratch memory of its one mode once more, for a plan that may tear it apart.
    """

    name: str
    reads: tuple[Value, ...]
    writes: Value
    modes: tuple[Mode, ...]
    pieces: Pieces | None = None

    @property
    def modes_without_scratch(self) -> tuple[Mode, ...]:
        """Those that need no memory of their own; none where the kernel always does."""
        return tuple(mode for mode in self.modes if mode.scratch is None)

    def clearance(self, operand: int) -> Clearance | None:
        """What some mode allows between the output and one operand."""
        found: Clearance | None = None
        for mode in self.modes:
            here = mode.clearances[operand]
            if here is not None:
                found = here if found is None else found.either(here)
        return found


def apart(reads: int) -> Mode:
    """The mode of a kernel whose output overlaps nothing that it reads."""
    return Mode("forward", (None,) * reads)
