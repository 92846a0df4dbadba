"""`mnet targets`: what can be compiled for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import json_option

if TYPE_CHECKING:
    from mnetdsl.targets import Board, Core, Region


@click.command(
    epilog="""\b
Examples:
  mnet targets
  mnet targets stm32h743
  mnet targets --format json
"""
)
@click.argument("name", metavar="[NAME]", required=False)
@json_option
def command(name: str | None, layout: str) -> None:
    """List the targets of `mnet compile` and the backends of `mnet run` and `mnet validate`, or show one target.

    NAME is a core or a part; its memories, compiler flags and sources are shown.
    """
    from mnetdsl.backends.runners import RUNNERS
    from mnetdsl.backends.targets import TARGETS, check_target
    from mnetdsl.cli.console import print_json

    chosen = tuple(TARGETS) if name is None else (check_target(name),)
    if layout == "json":
        print_json({"targets": [_json(target) for target in chosen], "on": list(RUNNERS)})
    elif name is not None:
        _print_one(chosen[0])
    else:
        _print_all(list(RUNNERS))


def _print_all(runners: Sequence[str]) -> None:
    from mnetdsl.cli.console import print_table
    from mnetdsl.files import format_size
    from mnetdsl.targets import BOARDS, CORES, HOSTS, largest_block

    print_table(("TARGET", "MAKES"), list(HOSTS.items()), (False, False))
    print()
    print_table(
        ("CORE", "ARCHITECTURE", "BEYOND INTEGERS"),
        [(core.name, core.architecture, ", ".join(core.features)) for core in CORES.values()],
        (False, False, False),
    )
    print()
    rows = []
    for board in BOARDS.values():
        flash, ram = largest_block(board.flash), largest_block(board.ram)
        rows.append(
            (
                board.name,
                board.part,
                board.core.name,
                "outside" if flash is None else format_size(flash),
                "" if ram is None else format_size(ram),
                ", ".join(f"{region.name} {format_size(region.bytes)}" for region in board.ram),
            )
        )
    header = ("PART", "", "CORE", "FLASH", "ARENA", "MEMORIES FOR DATA")
    print_table(header, rows, (False, False, False, True, True, False))
    print("\nARENA is the largest piece of RAM without a gap, which is what one arena can have.")
    print("Cores and parts are made C99 for; `mnet targets NAME` shows memories, compiler flags and data sheets.")
    print(f"mnet run and mnet validate take --on {', '.join(runners)}")


def _print_one(target: str) -> None:
    from mnetdsl.backends.targets import TARGETS
    from mnetdsl.cli.console import print_table
    from mnetdsl.files import format_size
    from mnetdsl.targets import OPTIMIZATION, find_device

    device = find_device(target)
    print(f"{target}: {TARGETS[target]}")
    if device is None:
        return
    core, board = device.core, device.board
    if board is not None:
        print()
        print_table(
            ("MEMORY", "", "BASE", "BYTES", "", "SPEED"),
            [
                (
                    kind,
                    region.name,
                    f"0x{region.base:08x}",
                    f"{region.bytes:,}",
                    format_size(region.bytes),
                    f"{region.speed}",
                )
                for kind, regions in (("ram", board.ram), ("flash", board.flash))
                for region in regions
            ],
            (False, False, False, True, True, True),
        )
        print("\nspeed 1 is the fastest for data" + (f"; {board.note}" if board.note else ""))
        print(f"source: {board.source}")
    print()
    print(f"{core.name}: {core.architecture}{', ' if core.features else ''}{', '.join(core.features)}")
    print(f"gcc    {' '.join((*core.flags, OPTIMIZATION))}")
    print(f"clang  {' '.join((*core.clang_flags, OPTIMIZATION))}")
    counters = [f"SysTick ({core.systick_bits} bits{'' if core.systick else ', optional'})"]
    print(f"counts cycles by {' or '.join(counters + (['DWT.CYCCNT'] if core.cycle_counter else []))}")
    print(f"source: Arm {core.reference}")


def _json(target: str) -> dict[str, object]:
    from mnetdsl.backends.targets import TARGETS
    from mnetdsl.targets import find_device

    described: dict[str, object] = {"name": target, "makes": TARGETS[target]}
    device = find_device(target)
    if device is not None:
        described["core"] = _core_json(device.core)
        if device.board is not None:
            described["part"] = _board_json(device.board)
            described["largest_ram"], described["largest_flash"] = device.ram, device.flash
    return described


def _core_json(core: Core) -> dict[str, object]:
    return {
        "name": core.name,
        "architecture": core.architecture,
        "dsp": core.dsp,
        "helium": core.helium.value,
        "fpu": core.fpu.value,
        "gcc_flags": list(core.flags),
        "clang_flags": list(core.clang_flags),
        "systick": core.systick,
        "systick_bits": core.systick_bits,
        "cycle_counter": core.cycle_counter,
        "source": f"Arm {core.reference}",
    }


def _board_json(board: Board) -> dict[str, object]:
    return {
        "name": board.part,
        "ram": [_region_json(region) for region in board.ram],
        "flash": [_region_json(region) for region in board.flash],
        "source": board.source,
        "note": board.note,
    }


def _region_json(region: Region) -> dict[str, object]:
    return {"name": region.name, "base": region.base, "bytes": region.bytes, "speed": region.speed}
