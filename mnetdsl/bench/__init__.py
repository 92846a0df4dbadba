"""Measuring compiled networks: `measure` finds who can by the kind of machine, the part of `--on` before a colon."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean

if TYPE_CHECKING:
    from mnetdsl.ir.core import Module


@dataclass(frozen=True)
class Request:
    """What to measure.

    module: optimized, with weights. written: as it is written, which files of other engines are made from where it is
    quantized; such a network is measured as it is, whatever `precision` says.
    machine: what follows the colon of `--on KIND:MACHINE`, else empty.
    threads, against, rounds, precision: numbers of threads, other engines by name, rounds of measuring, f32 or bf16; a
    kind for which one of them means nothing refuses other than its default.
    """

    module: Module
    written: Module | None = None
    machine: str = ""
    threads: tuple[int, ...] = (1,)
    against: tuple[str, ...] = ()
    rounds: int = 7
    precision: str = "f32"
    progress: Callable[[str], None] = lambda message: None


@dataclass(frozen=True)
class Table:
    """`right` says which columns are aligned to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[bool]


class Report(Protocol):
    """What came out: JSON for scripts; for people lines, a table, lines."""

    def to_json(self) -> dict[str, object]: ...
    def heading(self) -> Sequence[str]: ...
    def table(self) -> Table: ...
    def notes(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Kind:
    """A kind of machine: the module whose `measure(request)` makes its report, and its line in messages."""

    module: str
    help: str


KINDS: dict[str, Kind] = {
    "iree-cpu": Kind("mnetdsl.bench.host", "the processor at hand, beside other engines"),
    "qemu": Kind("mnetdsl.bench.qemu", "an emulated Cortex-M, such as qemu:cortex-m4: instructions and bytes"),
}
"""By the word before the colon of `--on`."""


def check_kind(on: str) -> None:
    """Raises `MnetError` MN2001 where nothing measures on `on`, before anything is loaded or built."""
    kind = on.partition(":")[0]
    if kind not in KINDS:
        from mnetdsl.backends.qemu.machines import MACHINES

        suggestion = did_you_mean(on, [*KINDS, *(f"qemu:{core}" for core in MACHINES)])
        raise MnetError(
            error(
                "MN2001",
                f"nothing measures networks on `{on}`",
                help=(f"did you mean `{suggestion}`? " if suggestion else "")
                + "; ".join(f"`--on {name}`: {entry.help}" for name, entry in KINDS.items()),
            ),
            exit_code=ExitCode.USAGE,
        )


def measure(on: str, request: Request) -> Report:
    """Measures on `on`, `KIND` or `KIND:MACHINE`; `request.machine` is taken from it.

    Raises `MnetError` as `check_kind` does, and what the kind raises.
    """
    check_kind(on)
    kind, _, machine = on.partition(":")
    run: Callable[[Request], Report] = importlib.import_module(KINDS[kind].module).measure
    return run(replace(request, machine=machine))
