"""Memory of a network on a device: lifetimes, in-place and overlap rules, arena placement.

A backend describes what its kernels do as `Task`s (what is read, what is written, how far apart the two must lie);
`make_plan` finds an address for every tensor. The planner knows no operation: an overlap is a distance in bytes.
"""

from __future__ import annotations

from mnetdsl.plan.planner import Plan, PlannedStep, make_plan
from mnetdsl.plan.storage import Place, Space
from mnetdsl.plan.sweep import Sweep
from mnetdsl.plan.tasks import Clearance, Mode, Scratch, Task

__all__ = ["Clearance", "Mode", "Place", "Plan", "PlannedStep", "Scratch", "Space", "Sweep", "Task", "make_plan"]
