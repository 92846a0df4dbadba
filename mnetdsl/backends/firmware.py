"""What a network will cost on a Cortex-M, before it is flashed: instructions predicted, flash and RAM to the byte."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mnetdsl.backends.c import CPackage, Options, generate
from mnetdsl.backends.qemu.image import FLAGS
from mnetdsl.backends.qemu.map_file import model_sizes
from mnetdsl.backends.qemu.toolchain import compile_all, link
from mnetdsl.cost.instructions import expected
from mnetdsl.diagnostics import MnetError
from mnetdsl.files import work_folder, write_folder
from mnetdsl.ir.core import Module
from mnetdsl.plan import Arena
from mnetdsl.targets import Core

_CALLER = "mnet_caller"
"""Stands for the program around the model: it needs `init` and `run` and has a context."""


@dataclass(frozen=True)
class LayerForecast:
    """instructions: None where no such kernel was measured on the core."""

    name: str
    operation: str
    instructions: int | None


@dataclass(frozen=True)
class Forecast:
    """Of one network on one core. Bytes are exact; code and the library's variables None without a compiler.

    why: what a person does to get those. context: what `<m>_context` has. arena: of all `arenas` together.
    """

    core: str
    arena: int
    constants: int
    code: int | None
    variables: int | None
    context: int | None
    why: str
    layers: tuple[LayerForecast, ...]
    arenas: tuple[Arena, ...] = ()
    peaks: tuple[tuple[str, ...], ...] = ()
    """Of each arena what meets where its lower bound is set."""
    weights: int = 0
    """Of the constants the tables of weights, which budgets count: `Program.weight_bytes`."""

    @property
    def instructions(self) -> int | None:
        """Of an inference; None where a layer is not known."""
        counts = [layer.instructions for layer in self.layers]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def flash(self) -> int | None:
        return None if self.code is None else self.code + self.constants

    @property
    def ram(self) -> int | None:
        """Stack, inputs and outputs are the caller's."""
        return None if self.variables is None or self.context is None else self.arena + self.variables + self.context

    def as_json(self) -> dict[str, object]:
        return {
            "core": self.core,
            "total": {
                "instructions": self.instructions,
                "flash": self.flash,
                "code": self.code,
                "constants": self.constants,
                "weights": self.weights,
                "ram": self.ram,
                "arena": self.arena,
                "context": self.context,
                "variables": self.variables,
            },
            "arenas": [
                {
                    "memory": arena.memory or None,
                    "available": arena.available,
                    "bytes": arena.bytes,
                    "lower_bound": arena.lower_bound,
                    "accesses": arena.accesses,
                    "peak": list(names),
                }
                for arena, names in zip(self.arenas, self.peaks, strict=True)
            ],
            "layers": [
                {"name": layer.name, "op": layer.operation, "instructions": layer.instructions} for layer in self.layers
            ],
        }


def forecast(module: Module, options: Options) -> Forecast:
    """Of an optimized module with weights, compiled as `mnet bench --on qemu:` does, for the core in `options`.

    Raises `MnetError` where C cannot be generated or does not compile; a missing compiler is said in `why`.
    """
    core = options.core
    assert core is not None, "a forecast is made for a core"
    package = generate(module, options=options)
    layers = tuple(
        LayerForecast(layer.name, layer.opcode, expected(core.name, costs))
        for layer, costs in zip(package.program.layers, package.costs, strict=True)
    )
    program = package.program
    met = [program.peak_buffers] if len(program.arenas) == 1 else [found.peak_buffers for found in program.arenas]
    found = Forecast(
        core=core.name,
        arena=package.plan.arena_bytes,
        constants=program.weight_bytes,
        code=None,
        variables=None,
        context=None,
        why="",
        layers=layers,
        arenas=package.plan.arenas,
        peaks=tuple(tuple(line.name for line in lines) for lines in met),
        weights=program.weight_bytes,
    )
    try:
        code, constants, variables, context = _linked(package, core)
    except MnetError as problem:
        if problem.diagnostics[0].code != "MN1901":
            raise
        return replace(found, why="; ".join(problem.diagnostics[0].help))
    return replace(found, code=code, constants=constants, variables=variables, context=context)


def _linked(package: CPackage, core: Core) -> tuple[int, int, int, int]:
    """Code, constants, variables and bytes of a context, of a program that calls the model."""
    name = package.program.name
    folder = work_folder("firmware")
    path = Path(folder.name)
    write_folder(path, {**package.files, f"{_CALLER}.c": _caller(name).encode()})
    jobs = [(f"{part}.c", f"{part}.o", FLAGS) for part in (name, f"{name}_weights")]
    compile_all(path, [*jobs, (f"{_CALLER}.c", f"{_CALLER}.o", ("-O2",))], core.flags)
    objects = [f"{_CALLER}.o", f"{name}.o", f"{name}_weights.o"]
    flags = [*core.flags, "-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", "-Wl,-e,main"]
    link(path, objects, "mnet.elf", [*flags, "-Wl,-Map=mnet.map"])
    text = (path / "mnet.map").read_text(encoding="utf-8", errors="replace")
    sizes = model_sizes(text, (f"{_CALLER}.o",))
    others = model_sizes(text, (f"{name}.o", f"{name}_weights.o"))
    return sizes.code, sizes.constants, sizes.variables, others.variables - sizes.variables


def _caller(name: str) -> str:
    return f"""#include "{name}.h"
static __typeof__(&{name}_init) const volatile init = &{name}_init;
static __typeof__(&{name}_run) const volatile run = &{name}_run;
static {name}_context context;
static void *const volatile where = &context;
int main(void) {{ return init == 0 || run == 0 || where == 0; }}
"""
