"""What can be compiled for: each target and the generator of its files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.ir.core import Module
from mnetdsl.targets import BOARDS, CORES, HOSTS, NAMES, find_device, target_name

if TYPE_CHECKING:
    from mnetdsl.backends.c import SelfTest
    from mnetdsl.passes.context import Remark

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
                help=(f"did you mean `{suggestion}`? " if suggestion else "") + f"targets: {', '.join(NAMES)}",
            ),
            exit_code=ExitCode.USAGE,
        )
    return name


def makes_c(target: str) -> bool:
    """Whether a target's files are C sources, which have an arena and a budget."""
    return target_name(target) == "host-c" or find_device(target) is not None


def generate(
    module: Module,
    target: str,
    selftest: SelfTest | None = None,
    remark: Callable[[Remark], None] = lambda remark: None,
    package: str | None = None,
) -> dict[str, bytes]:
    """Files of an optimized module for `target`, by name; C with a file of test vectors where some are given.

    `remark` is told how each layer runs, where the backend chooses between ways. `package` is a key of
    `packages.PACKAGES`: C with what a build system wants around it.
    Raises `MnetError`, also where weights are not loaded.
    """
    name = check_target(target)
    if makes_c(name):
        from mnetdsl.backends import c

        device = find_device(name)
        core = None if device is None else device.core
        generated = c.generate(module, module.name, c.Options(selftest=selftest, core=core))
        if package is None:
            return generated.files
        from mnetdsl.backends.packages import pack

        return pack(generated, package, device)
    if package is not None:
        raise MnetError(
            error("MN1106", f"`{name}` is not packed", help="leave out --package: an IREE module is one file"),
            exit_code=ExitCode.USAGE,
        )
    if selftest is not None:
        raise MnetError(
            error("MN1105", f"`{name}` has no self-test", help="it belongs to generated C: --target host-c"),
            exit_code=ExitCode.USAGE,
        )
    from mnetdsl.backends import iree

    compiled = iree.generate(module, module.name, name)
    for road in compiled.roads:
        remark(road.remark())
    return compiled.files
