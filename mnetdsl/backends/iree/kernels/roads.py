"""Own kernel or linalg: the road that each layer takes, decided and recorded."""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.backends.iree.kernels.layers import OWN_LAYERS, Unsuitable, Workshop
from mnetdsl.ir.core import Op
from mnetdsl.ir.location import Location


@dataclass(frozen=True)
class Road:
    """How the layer at `location` runs: by the own kernel `kernel`, or on linalg for `reason`."""

    location: Location
    opcode: str
    kernel: str | None
    reason: str = ""


def take_road(shop: Workshop, op: Op) -> Road:
    """Emits `op` by its own kernel where it has one; else nothing is emitted, and the caller takes linalg."""
    own = OWN_LAYERS.get(op.opcode)
    if own is None:
        return Road(op.location, op.opcode, None, f"`{op.opcode}` has no own kernel")
    if not op.type.element.is_float:
        return Road(op.location, op.opcode, None, f"it computes {op.type.element.value}")
    taken = own(shop, op)
    if isinstance(taken, Unsuitable):
        return Road(op.location, op.opcode, None, taken.reason)
    return Road(op.location, op.opcode, taken)
