"""The files around generated C for an emulated board: startup, linker script, and what runs and counts a model."""

from __future__ import annotations

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mnetdsl import resources
from mnetdsl.backends.c.program import CArena, Program
from mnetdsl.backends.qemu.exchange import KNOWN_WORK, Requests
from mnetdsl.backends.qemu.machines import Machine

STACK = 64 * 1024
_CODE_RESERVE = 256 * 1024
"""Of the code memory, kept free of large constants."""
_RAM_RESERVE = STACK + 64 * 1024
_BOARD = ("board.h", "board.ld", "startup.c")
_RUNNER = ("counting.h", "counting.c", "hooks.h", "runner.c")


def board_files(program: Program, machine: Machine) -> dict[str, bytes]:
    """What a program of one's own needs: `mnet_main` is called, and variables may hold arena, inputs and outputs."""
    needed = program.arena_bytes + sum(port.bytes for port in (*program.inputs, *program.outputs))
    return _render(
        _BOARD, program, machine, _place(machine, needed, machine.ram.bytes - _RAM_RESERVE, machine.ram.name)
    )


def image_files(program: Program, machine: Machine) -> dict[str, bytes]:
    """What makes an `image.Image` of the files that users get."""
    return _render((*_BOARD, *_RUNNER), program, machine, machine.ram.name)


def _render(names: tuple[str, ...], program: Program, machine: Machine, variables: str) -> dict[str, bytes]:
    """variables: the memory of those that ask for none."""
    environment = Environment(
        loader=FileSystemLoader(resources.templates_folder() / "qemu"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    ports = sum(port.bytes for port in (*program.inputs, *program.outputs))
    ram = machine.ram.bytes - _RAM_RESERVE
    values = {
        "p": program,
        "m": program.name,
        "M": program.macro,
        "machine": machine,
        "requests": Requests,
        "known_work": KNOWN_WORK,
        "stack": STACK,
        "weights": f"{program.name}_weights.*",
        "constants": _place(machine, program.weight_bytes, machine.code.bytes - _CODE_RESERVE, machine.code.name),
        "arenas": _arenas(program, machine, ram - ports),
        "ports": _place(machine, ports, ram, machine.ram.name),
        "variables": variables,
    }
    return {f"mnet_{name}": environment.get_template(f"{name}.jinja").render(**values).encode() for name in names}


def _arenas(program: Program, machine: Machine, room: int) -> list[tuple[CArena, str]]:
    """Where each arena lies: of several, the fastest alone in the board's own RAM, as on the part they are for."""
    first, *others = program.arenas
    return [
        (first, _place(machine, first.bytes, room, machine.ram.name)),
        *((arena, machine.big.name) for arena in others),
    ]


def _place(machine: Machine, size: int, room: int, name: str) -> str:
    """The memory `name` where `size` bytes have room in it, else the big one."""
    return name if size <= room else machine.big.name
