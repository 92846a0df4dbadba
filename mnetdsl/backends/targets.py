"""What can be compiled for: each target and the generator of its files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.ir.core import Module

if TYPE_CHECKING:
    from mnetdsl.backends.c import SelfTest
    from mnetdsl.passes.context import Remark

TARGETS: dict[str, str] = {
    "host-c": "portable C99 with a main, Makefile and CMake file, for the machine at hand",
    "iree-cpu": "IREE module (.vmfb) for the CPU at hand",
    "iree-vulkan": "IREE module (.vmfb) for Vulkan",
}
"""Name -> what comes out, as `mnet targets` shows it."""


def check_target(target: str) -> None:
    """Raises `MnetError` for a target that does not exist."""
    if target not in TARGETS:
        suggestion = did_you_mean(target, list(TARGETS))
        raise MnetError(
            error(
                "MN1101",
                f"there is no target `{target}`",
                help=(f"did you mean `{suggestion}`? " if suggestion else "") + f"targets: {', '.join(TARGETS)}",
            ),
            exit_code=ExitCode.USAGE,
        )


def generate(
    module: Module,
    target: str,
    selftest: SelfTest | None = None,
    remark: Callable[[Remark], None] = lambda remark: None,
) -> dict[str, bytes]:
    """Files of an optimized module for `target`, by name; C with a file of test vectors where some are given.

    `remark` is told how each layer runs, where the backend chooses between ways.
    Raises `MnetError`, also where weights are not loaded.
    """
    check_target(target)
    if target == "host-c":
        from mnetdsl.backends import c

        return c.generate(module, module.name, c.Options(selftest=selftest)).files
    if selftest is not None:
        raise MnetError(
            error("MN1105", f"`{target}` has no self-test", help="it belongs to generated C: --target host-c"),
            exit_code=ExitCode.USAGE,
        )
    from mnetdsl.backends import iree

    package = iree.generate(module, module.name, target)
    for road in package.roads:
        remark(road.remark())
    return package.files
