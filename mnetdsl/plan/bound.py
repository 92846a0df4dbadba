"""A number of bytes below which no placement can come, whatever it does.

While a task runs, everything alive has to lie somewhere. Buffers alive at the same time share no byte, except the
task's output and those inputs that die in it, which may share as much as the kernel's clearances admit. So

    bound = others + scratch + max(inputs, output, inputs + output - sum of the largest shared bytes)

for the mode where that is smallest, and the arena needs at least the largest bound of any task.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mnetdsl.plan.tasks import Clearance, Mode


@dataclass(frozen=True)
class Meeting:
    """Buffers alive in one task: the output, the inputs that die here by operand, and all others."""

    output: int | None
    dying: tuple[tuple[int, tuple[int, ...]], ...]
    """(buffer, operands that read it); only buffers with a clearance in some mode."""
    others: tuple[int, ...]

    @property
    def buffers(self) -> tuple[int, ...]:
        own = () if self.output is None else (self.output,)
        return tuple(sorted({*self.others, *own, *(buffer for buffer, _ in self.dying)}))

    def among(self, buffers: Collection[int]) -> Meeting:
        """What some of the buffers see of the meeting."""
        return Meeting(
            self.output if self.output in buffers else None,
            tuple(entry for entry in self.dying if entry[0] in buffers),
            tuple(buffer for buffer in self.others if buffer in buffers),
        )


def meeting_bound(meeting: Meeting, modes: Sequence[Mode], sizes: Sequence[int]) -> int:
    """Least bytes for one task, over its modes."""
    others = sum(sizes[buffer] for buffer in meeting.others)
    if meeting.output is None:
        return others + sum(sizes[buffer] for buffer, _ in meeting.dying) + min(map(_scratch, modes))
    written = sizes[meeting.output]
    inputs = sum(sizes[buffer] for buffer, _ in meeting.dying)
    best = others + inputs + written + min(map(_scratch, modes))
    for mode in modes:
        shared = sum(
            min(_shared(mode.clearances[operand], sizes[buffer], written) for operand in operands)
            for buffer, operands in meeting.dying
        )
        best = min(best, others + _scratch(mode) + max(inputs, written, inputs + written - shared))
    return best


def _scratch(mode: Mode) -> int:
    return 0 if mode.scratch is None else mode.scratch.unit


def _shared(clearance: Clearance | None, read: int, written: int) -> int:
    """Largest number of bytes that the output may share with an input."""
    if clearance is None:
        return 0
    below = min(written - clearance.below, read)
    above = min(read - clearance.above, written)
    same = min(read, written) if clearance.same else 0
    return max(0, below, above, same)
