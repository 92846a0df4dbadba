"""Instructions and bytes of a network on an emulated board."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c import Options, generate
from mnetdsl.backends.qemu.exchange import KNOWN_WORK, Count, Requests, decode_counts, decode_measure, encode_request
from mnetdsl.backends.qemu.image import Build, Image
from mnetdsl.backends.qemu.machines import MACHINES, Machine
from mnetdsl.cost.macs import RULES
from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.interpreter import check_inputs
from mnetdsl.ir.core import Module, Op
from mnetdsl.targets import OPTIMIZATION

Array = NDArray[np.generic]

SPIN = 4
"""Instructions in a turn of the loop in which `mnet_stop_count` waits for SysTick to change."""
JITTER = 16
"""A count may be off by this many instructions: the turns of the waiting loops before and behind."""


@dataclass(frozen=True)
class LayerMeasurement:
    """A layer of the generated C; macs are its multiply-accumulates."""

    index: int
    name: str
    operation: str
    instructions: int
    macs: int


@dataclass(frozen=True)
class Measurement:
    """One inference of `network`, compiled with `flags`.

    The layers come from a build with hooks, in which the compiler may allot registers differently: they add up to the
    whole within a few thousandths.

    instructions: executed between call and return of `<m>_run`, as users build it; those of the layers do not hold
    what stands between layers. arena, stack, code, constants, variables: bytes. stack: the deepest below the caller.
    code and constants: with the library functions that the model calls. variables: the library's own.
    """

    network: str
    core: str
    machine: str
    flags: tuple[str, ...]
    instructions: int
    macs: int
    arena: int
    stack: int
    code: int
    constants: int
    variables: int
    layers: tuple[LayerMeasurement, ...]


def measure(
    module: Module,
    core: str,
    inputs: Mapping[str, Array],
    progress: Callable[[str], None] = lambda message: None,
    rows: bool = False,
    options: Options | None = None,
) -> Measurement:
    """One inference of an optimized module with weights on the board of `core`, a key of `MACHINES`.

    inputs: as `Runner.run` takes them; the first of each counts. rows: of code that could be fed by rows.
    options: those of the C, whatever core they name.
    Raises `MnetError`: MN0620 and MN0621 where the inputs do not fit, what `Image` raises, MN1904 where the program
    fails, MN1906 where the emulator miscounts.
    """
    check_inputs(module, inputs)
    machine = MACHINES[core]
    package = generate(module, options=replace(options or Options(rows=rows), core=machine.core))
    image = Image(package, machine)
    first = [[inputs[port.name][0] for port in module.graph.inputs]]
    count = len(package.operations)
    progress("counting the whole")
    answer = image.run(Build.PLAIN, encode_request(Requests.MEASURE, count, (), first), counting=True)
    stack, nothing, known, total = decode_measure(answer)
    _check_known_work(_instructions(known, nothing, machine), machine)
    progress("counting layers")
    answer = image.run(Build.PROFILE, encode_request(Requests.PROFILE, count, (), first), counting=True)
    empty, *layers = decode_counts(answer)
    sizes = image.sizes()
    measured = tuple(
        LayerMeasurement(index, layer.name, layer.opcode, _instructions(counted, empty, machine), _macs(op))
        for index, (layer, op, counted) in enumerate(
            zip(package.program.layers, package.operations, layers, strict=True)
        )
    )
    return Measurement(
        network=module.name,
        core=core,
        machine=machine.name,
        flags=(*machine.core.flags, OPTIMIZATION),
        instructions=_instructions(total, nothing, machine),
        macs=sum(layer.macs for layer in measured),
        arena=package.plan.arena_bytes,
        stack=stack,
        code=sizes.code,
        constants=sizes.constants,
        variables=sizes.variables,
        layers=measured,
    )


def _instructions(count: Count, nothing: Count, machine: Machine) -> int:
    """Instructions between `mnet_start_count` and `mnet_stop_count`, without what counting takes by itself."""
    own = _raw(nothing, machine) / max(nothing.times, 1)
    return max(0, round(_raw(count, machine) - own * count.times))


def _raw(count: Count, machine: Machine) -> Fraction:
    return count.ticks * machine.instructions_per_tick - SPIN * count.spins


def _check_known_work(counted: int, machine: Machine) -> None:
    if abs(counted - KNOWN_WORK) > JITTER:
        raise MnetError(
            error(
                "MN1906",
                f"`{machine.name}` counts {counted:,} instructions in a loop of {KNOWN_WORK:,}",
                help="take another version of qemu-system-arm: 7.2 is what is tested",
            ),
            exit_code=ExitCode.INTERNAL,
        )


def _macs(op: Op | None) -> int:
    return 0 if op is None else RULES[op.opcode](op)
