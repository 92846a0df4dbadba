"""Memory of a network on a device: lifetimes, in-place and overlap rules, arena placement.

A backend describes what its kernels do as `Task`s (what is read, what is written, how far apart the two must lie);
`make_plan` finds an address for every tensor. The planner knows no operation: an overlap is a distance in bytes.
"""

from __future__ import annotations

from mnetdsl.plan.planner import make_plan
from mnetdsl.plan.result import Arena, Memory, Plan, PlannedStep
from mnetdsl.plan.storage import Place, Space
from mnetdsl.plan.sweep import Sweep
from mnetdsl.plan.tasks import Clearance, Mode, Pieces, Scratch, Task

__all__ = [
    "Arena",
    "Clearance",
    "Memory",
    "Mode",
    "Pieces",
    "Place",
    "Plan",
    "PlannedStep",
    "Scratch",
    "Space",
    "Sweep",
    "Task",
    "make_plan",
]
