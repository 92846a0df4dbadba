"""What can be compiled for: each target and the generator of its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.ir.core import Module
from mnetdsl.targets import BOARDS, CORES, HOSTS, NAMES, find_device, target_name

if TYPE_CHECKING:
    from mnetdsl.backends.c import SelfTest
    from mnetdsl.passes.context import Remark
    from mnetdsl.plan import Memory
    from mnetdsl.plan.rows import Bands

TARGETS: dict[str, str] = {
    **HOSTS,
    **{core.name: f"C99 for {core.architecture}" for core in CORES.values()},
    **{board.name: f"C99 for {board.part}, {board.core.name}" for board in BOARDS.values()},
}
"""Name -> what comes out."""


def check_target(target: str) -> str:
    """The target that a name with hyphens or underscores means. Raises `MnetError` MN1101 where there is none."""
    name = target_name(target)
    if name is None:
        suggestion = did_you_mean(target, list(NAMES))
        raise MnetError(
            error(
                "MN1101",
                f"there is no target `{target}`",
                help=(
                    *([f"did you mean `{suggestion}`?"] if suggestion else []),
                    f"there are the cores {', '.join(CORES)}, the parts {', '.join(BOARDS)}, and {', '.join(HOSTS)}",
                    "another part goes by its core and sizes: --target cortex-m4 --ram 96K --flash 512K",
                    "`mnet targets` says what each of them is",
                ),
            ),
            exit_code=ExitCode.USAGE,
        )
    return name


PRECISIONS = {"f32": "float32", "bf16": "bfloat16"}
"""What float networks are stored and multiplied in; sums are float32 always."""

ACCURACY = "accuracy"
"""Names the remark that says what a precision costs."""
INSTRUCTIONS = "instructions"
"""Names the remark that says how a network runs within a budget of instructions."""


def check_precision(target: str, precision: str) -> None:
    """Raises `MnetError` MN1107 where `target` does not compute in a key of `PRECISIONS`."""
    if precision == "f32":
        return
    reason: str | None = "generated C computes in float32, or in integers where the network says so"
    if not makes_c(target):
        from mnetdsl.backends import iree

        reason = iree.why_no_bfloat(target)
    if reason is not None:
        raise MnetError(
            error(
                "MN1107",
                f"`{target}` has no {PRECISIONS[precision]}: {reason}",
                help="leave out --precision: float32 runs everywhere",
            ),
            exit_code=ExitCode.USAGE,
        )


def check_float_layers(module: Module, precision: str) -> None:
    """Raises `MnetError` MN1107 where all of a module's products are of stored integers, which have one precision."""
    from mnetdsl.cost.macs import RULES

    products = [op for op in module.graph.operations if RULES[op.opcode](op)]
    if precision == "f32" or not module.quantized or any(op.type.quantization is None for op in products):
        return
    raise MnetError(
        error(
            "MN1107",
            f"`{module.name}` has nothing to compute in {PRECISIONS[precision]}: its layers store integers",
            help="leave out --precision, or compile the network without its table `quantization`",
        ),
        exit_code=ExitCode.USAGE,
    )


def check_threads(target: str, threads: int | None) -> None:
    """Raises `MnetError` MN2006 where modules for `target` do not run on threads."""
    if threads is not None and not target.startswith("iree-cpu"):
        raise MnetError(
            error(
                "MN2006",
                f"--threads means nothing for `{target}`",
                help="leave it out: only IREE modules for CPUs run on several threads",
            ),
            exit_code=ExitCode.USAGE,
        )


def check_sizes(target: str, sizes: Mapping[str, int | None]) -> None:
    """Raises `MnetError` MN1401 where `target` has no budget that `sizes`, option -> bytes, could be.

    Modules of IREE have no arena of their own, and lie in files.
    """
    given = [option for option, size in sizes.items() if size is not None]
    if given and not makes_c(target):
        raise MnetError(
            error(
                "MN1401",
                f"{given[0]} means nothing for `{target}`",
                help="leave it out: only generated C is held to a budget of flash and RAM",
            ),
            exit_code=ExitCode.USAGE,
        )


def makes_c(target: str) -> bool:
    """Whether a target's files are C sources, which have an arena and a budget."""
    return target_name(target) == "host-c" or find_device(target) is not None


def generate(
    module: Module,
    target: str,
    selftest: SelfTest | None = None,
    remark: Callable[[Remark], None] = lambda remark: None,
    package: str | None = None,
    precision: str = "f32",
    rows: bool = False,
    *,
    threads: int | None = None,
    memories: Sequence[Memory] = (),
    bands: Bands | None = None,
    flash: int | None = None,
) -> dict[str, bytes]:
    """Files of an optimized module for `target`, by name; C with a file of test vectors where some are given.

    `remark` is told how each layer runs, where the backend chooses between ways. `package` is a key of
    `packages.PACKAGES`: C with what a build system wants around it. `precision` is a key of `PRECISIONS`; what any but
    float32 costs is measured and told to `remark`. `rows`: C that takes its image row by row.
    `threads` is how many will run an IREE module, None for any number. `memories` are what RAM there is for C, the
    fastest first, and `bands` how C by rows runs; None: in the least memory. `flash` is what the tables of C may take
    in bytes.
    Raises `MnetError`, also where weights are not loaded, and MN1104 with exit code 3 where `flash` is exceeded.
    """
    name = check_target(target)
    check_precision(name, precision)
    check_float_layers(module, precision)
    if makes_c(name):
        from mnetdsl.backends import c
        from mnetdsl.backends.c.budget import over_flash

        device = find_device(name)
        core = None if device is None else device.core
        options = c.Options(selftest=selftest, core=core, rows=rows, bands=bands, memories=tuple(memories))
        generated = c.generate(module, module.name, options)
        problems = tuple(over_flash(module, flash, generated.program.weight_bytes))
        if problems:
            raise MnetError(*problems, exit_code=ExitCode.OVER_BUDGET)
        if package is None:
            return generated.files
        from mnetdsl.backends.packages import pack

        return pack(generated, package, device)
    if package is not None:
        raise MnetError(
            error("MN1106", f"`{name}` is not packed", help="leave out --package: an IREE module is one file"),
            exit_code=ExitCode.USAGE,
        )
    if rows:
        raise MnetError(
            error("MN1115", f"`{name}` takes whole images", help="feed rows to generated C: --target host-c"),
            exit_code=ExitCode.USAGE,
        )
    if selftest is not None:
        raise MnetError(
            error("MN1105", f"`{name}` has no self-test", help="it belongs to generated C: --target host-c"),
            exit_code=ExitCode.USAGE,
        )
    from mnetdsl.backends import iree

    compiled = iree.generate(module, module.name, name, precision=precision, threads=threads)
    for said in compiled.remarks():
        remark(said)
    if precision != "f32":
        from mnetdsl.backends.iree.accuracy import measure
        from mnetdsl.passes.context import Remark

        remark(Remark(ACCURACY, True, f"{PRECISIONS[precision]}: {measure(module, compiled)}"))
    return compiled.files
