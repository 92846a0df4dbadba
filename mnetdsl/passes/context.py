"""What a run of passes tells: remarks on what was done and what was not and why, and times."""

from __future__ import annotations

from dataclasses import dataclass, field

from mnetdsl.ir.core import Op
from mnetdsl.ir.location import UNKNOWN, Location


@dataclass(frozen=True)
class Remark:
    """One sentence of a pass. `applied` is False where a pass saw a chance and could not take it."""

    pass_name: str
    applied: bool
    message: str
    location: Location = UNKNOWN

    def __str__(self) -> str:
        place = f" ({self.location})" if self.location.file else ""
        return f"{self.pass_name}: {self.message}{place}"


@dataclass(frozen=True)
class Timing:
    pass_name: str
    seconds: float


@dataclass
class Context:
    """Collects over one run; hand in your own to read it afterwards."""

    remarks: list[Remark] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)

    def applied(self, pass_name: str, message: str, op: Op) -> None:
        self.remarks.append(Remark(pass_name, True, message, op.location))

    def missed(self, pass_name: str, message: str, op: Op) -> None:
        self.remarks.append(Remark(pass_name, False, message, op.location))


def called(op: Op) -> str:
    """An operation in a remark: its layer name, or its opcode where no text named it."""
    return f"`{op.name}`" if op.name else f"a `{op.opcode}`"


def uses(count: int) -> str:
    return "1 use" if count == 1 else f"{count} uses"
