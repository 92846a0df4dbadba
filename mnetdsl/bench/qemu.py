"""`mnet bench --on qemu:CORE`: instructions and bytes on an emulated microcontroller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnetdsl.backends.qemu.machines import MACHINES
from mnetdsl.backends.qemu.measurement import Measurement
from mnetdsl.backends.qemu.measurement import measure as measure_on_board
from mnetdsl.backends.runners import ROWS, runner_of
from mnetdsl.bench import Request, Table
from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.images import random_input
from mnetdsl.targets import target_name

SEED = 1
"""Of the image that is run."""


@dataclass(frozen=True)
class BoardReport:
    """A measurement as JSON and as text."""

    measured: Measurement

    def to_json(self) -> dict[str, object]:
        """`{"total": {"instructions", "arena", "stack", "code", "constants"}, "layers": [{"index", "name", "op",
        "instructions", "macs"}, …], "measured": {…}}`: instructions are executed ones, memory is bytes; `measured`
        says what was measured and how."""
        found = self.measured
        return {
            "total": {
                "instructions": found.instructions,
                "arena": found.arena,
                "stack": found.stack,
                "code": found.code,
                "constants": found.constants,
            },
            "layers": [
                {
                    "index": layer.index,
                    "name": layer.name,
                    "op": layer.operation,
                    "instructions": layer.instructions,
                    "macs": layer.macs,
                }
                for layer in found.layers
            ],
            "measured": {
                "network": found.network,
                "on": f"qemu:{found.core}",
                "machine": found.machine,
                "flags": list(found.flags),
                "macs": found.macs,
                "variables": found.variables,
            },
        }

    def heading(self) -> Sequence[str]:
        found = self.measured
        return [
            f"{found.network} on {found.core} ({found.machine} in QEMU), one inference, executed instructions",
            f"arm-none-eabi-gcc {' '.join(found.flags)}",
        ]

    def table(self) -> Table:
        found = self.measured
        rows = [
            (layer.name, layer.operation, f"{layer.instructions:,}", *_per_mac(layer.instructions, layer.macs))
            for layer in found.layers
        ]
        rows.append(("total", "", f"{found.instructions:,}", *_per_mac(found.instructions, found.macs)))
        return Table(("LAYER", "", "INSTRUCTIONS", "MACS", "PER MAC"), rows, (False, False, True, True, True))

    def notes(self) -> Sequence[str]:
        found = self.measured
        return [
            f"RAM    {found.arena + found.stack + found.variables:>10,} bytes: arena {found.arena:,}, "
            f"stack {found.stack:,}{f', variables {found.variables:,}' if found.variables else ''}; "
            "inputs and outputs are the caller's",
            f"flash  {found.code + found.constants:>10,} bytes: code {found.code:,}, constants {found.constants:,}",
        ]


def measure(request: Request) -> BoardReport:
    """Raises `MnetError`: MN2001 for a core without a board, MN2006 for options that mean nothing here, and what
    `backends.qemu.measurement.measure` raises."""
    core = request.machine.removesuffix(ROWS)
    check_core(core)
    check_options(request)
    inputs = {port.name: random_input(port, SEED) for port in request.module.graph.inputs}
    by_rows = core != request.machine
    return BoardReport(measure_on_board(request.module, core, inputs, request.progress, by_rows))


def check_core(core: str) -> None:
    """Raises `MnetError` MN2001 for what is no key of `MACHINES`."""
    if core not in MACHINES:
        target = target_name(core)
        near = did_you_mean(core, list(MACHINES)) if core else None
        suggestion = runner_of(target) if target else f"qemu:{near}" if near else None
        names = ", ".join(f"qemu:{name}" for name in MACHINES)
        raise MnetError(
            error(
                "MN2001",
                f"no board with `{core}` is emulated" if core else "`qemu` alone does not say which core",
                help=(
                    *([f"did you mean `{suggestion}`?"] if suggestion else []),
                    f"there are {names}",
                    *([f"`mnet summary --target {target}` says what flash and RAM it takes there"] if target else []),
                ),
            ),
            exit_code=ExitCode.USAGE,
        )


def check_options(request: Request) -> None:
    """Raises `MnetError` MN2006: instructions are counted once, on one core, beside nobody."""
    usual = Request(request.module)
    given = {"--threads": request.threads != usual.threads, "--against": request.against != usual.against}
    given |= {"--rounds": request.rounds != usual.rounds, "--precision": request.precision != usual.precision}
    useless = [option for option, is_given in given.items() if is_given]
    if useless:
        raise MnetError(
            error(
                "MN2006",
                f"{' and '.join(useless)} mean{'s' if len(useless) == 1 else ''} nothing for `qemu:{request.machine}`",
                help="an emulated core counts instructions, the same in each run: leave it out",
            ),
            exit_code=ExitCode.USAGE,
        )


def _per_mac(instructions: int, macs: int) -> tuple[str, str]:
    return (f"{macs:,}", f"{instructions / macs:.2f}") if macs else ("", "")
