"""The features of a CPU target, as IREE's compiler resolves them: asked of itself, so that both always agree."""

from __future__ import annotations

import re
import subprocess
from functools import cache

from mnetdsl.backends.iree.compiler import compiler_path
from mnetdsl.backends.iree.kernels.isa import Bfloat, Isa, choose_bfloat, choose_isa
from mnetdsl.backends.iree.targets import IreeTarget


def isa_of(target: IreeTarget) -> Isa | None:
    """What own kernels for `target` are made for; None where there are none."""
    return choose_isa(features_of(target.flags)) if target.own_kernels and not target.simt else None


def bfloat_of(target: IreeTarget) -> Bfloat | None:
    """What multiplies bfloat16 on `target`; None where nothing does."""
    return choose_bfloat(features_of(target.flags)) if target.own_kernels and not target.simt else None


PROBE = """
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = arith.addf %x, %x : tensor<4xf32>
  return %y : tensor<4xf32>
}
"""
IMPLIED = {"aarch64": "neon", "arm64": "neon"}
"""What every processor of an architecture has, so that LLVM does not list it."""


@cache
def features_of(flags: tuple[str, ...]) -> frozenset[str]:
    """The features of the target that `flags` of iree-compile describe, as LLVM names them; none where it fails, since
    then the compilation proper says why."""
    command = [str(compiler_path()), "-", "-o", "-", "--compile-to=flow", *flags]
    done = subprocess.run(command, input=PROBE, capture_output=True, text=True, timeout=60, check=False)
    listed = re.search(r'cpu_features = "([^"]*)"', done.stdout)
    triple = re.search(r'target_triple = "([^"-]*)', done.stdout)
    features = {word[1:] for word in (listed[1].split(",") if listed else []) if word.startswith("+")}
    if triple and triple[1] in IMPLIED:
        features.add(IMPLIED[triple[1]])
    return frozenset(features)
