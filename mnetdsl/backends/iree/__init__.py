"""The IREE backend: IR -> linalg on tensors (`emission`) -> module (`compiler`, `package`) -> runtime (`runner`).

IREE's own packages are imported by the modules that need them, when they are called.
"""

from __future__ import annotations

import sys

from mnetdsl.backends.iree.package import IreePackage, generate, read_package
from mnetdsl.backends.iree.targets import TARGETS, target_of
from mnetdsl.ir.core import Module

__all__ = ["TARGETS", "IreePackage", "emit", "generate", "read_package", "why_no_bfloat"]


def why_no_bfloat(target: str) -> str | None:
    """Why modules for `target` cannot store maps in bfloat16; None where they can.

    Raises `MnetError` where IREE's compiler is not installed or of another version.
    """
    from mnetdsl.backends.iree.versions import COMPILER, require_iree

    require_iree(COMPILER)
    from mnetdsl.backends.iree.kernels.machine import bfloat_of

    if TARGETS[target].simt:
        return "on Vulkan layers compute in float32, or in integers where the network says so"
    if not sys.platform.startswith("linux"):
        return "tiles are asked for as Linux wants it"
    return None if bfloat_of(TARGETS[target]) else "its processor has neither AMX-BF16 nor AVX512-BF16"


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
    as_which = target_of(target, quantized=module.quantized)
    return emit_text(
        module,
        isa=isa_of(as_which),
        device=as_which.device,
        simt=as_which.simt,
        simt_kernels=as_which.simt_kernels,
    ).text
