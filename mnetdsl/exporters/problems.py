"""Why a network is not exported."""

from __future__ import annotations

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.core import Op, Port


class NotInFormatError(Exception):
    """The format cannot say what a layer does: `why`, and what to do."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


def not_in_format(op: Op, format: str, problem: NotInFormatError) -> MnetError:
    return MnetError(
        error(
            "MN2101",
            f"`{op.name}` ({op.opcode}) cannot be said in {format}: {problem.why}",
            location=str(op.location),
            help=problem.remedy,
        )
    )


def unclear_input(port: Port) -> MnetError:
    """An image that the network reads in two ways, so that no single tensor stands for it."""
    return MnetError(
        error(
            "MN2102",
            f"input `{port.name}` is read in more than one way: as pixels and normalized, or normalized differently",
            location=str(port.location),
            help="let one input be read in one way: declare a second input for the other",
        )
    )


def no_weights(name: str, resource: str) -> MnetError:
    return MnetError(
        error(
            "MN0720",
            f"`{name}` has no weights yet: `{resource}` is missing",
            help="load them first: `--weights net.safetensors`, in Python `network.with_weights()`",
        )
    )
