"""The IREE backend: IR -> linalg on tensors (`emission`) -> module (`compiler`, `package`) -> runtime (`runner`).

IREE's own packages are imported by the modules that need them, when they are called.
"""

from __future__ import annotations

from mnetdsl.backends.iree.package import IreePackage, generate, read_package
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.ir.core import Module

__all__ = ["TARGETS", "IreePackage", "emit", "generate", "read_package"]


def emit(module: Module, target: str | None = None) -> str:
    """The module as MLIR text with its weights: as it is compiled for `target`, or with linalg alone.

    Raises `MnetError` where IREE's compiler is not installed or of another version, or weights are missing.
    """
    from mnetdsl.backends.iree.versions import COMPILER, require_iree

    require_iree(COMPILER)
    from mnetdsl.backends.iree.emission import emit as emit_text
    from mnetdsl.backends.iree.kernels.machine import isa_of

    if target is None:
        return emit_text(module).text
    flags = TARGETS[target]
    return emit_text(module, isa=isa_of(flags), wide_integers=flags.wide_integers).text
