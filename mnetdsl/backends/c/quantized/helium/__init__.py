"""Kernels of 8-bit layers for Helium (Armv8.1-M MVE): Cortex-M55 and M85.

A vector of 16 numbers times one of weights adds up to a sum in one instruction (VMLADAVA), and four sums of a channel
become stored numbers together: by steps that are proven for the channel's sums (see `dsp.steps`) where a layer ends
with ReLU, else with VQRDMULH for the reference's first rounding and VRSHL for its second, exact for every input. Every
kernel is assembly for gcc and clang with a twin in C that reads the same stream, for other compilers and for tests on a
host. Layers without a kernel here take those of `dsp`, or portable C.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnetdsl.backends.c.choice import Rule
from mnetdsl.backends.c.quantized.helium import conv2d, dense, depthwise_conv2d, elementwise, lookup, mean
from mnetdsl.ir.core import Op

Fits = Callable[[Any], bool]
HELIUM_RULES: dict[str, tuple[tuple[Fits, Rule[Any]], ...]] = {
    "conv2d": ((dense.fits, dense.RULE), (conv2d.fits, conv2d.RULE)),
    "depthwise_conv2d": ((depthwise_conv2d.fits, depthwise_conv2d.RULE),),
    "dense": ((dense.fits, dense.RULE),),
    "add": ((elementwise.fits, elementwise.RULE),),
    "sub": ((elementwise.fits, elementwise.RULE),),
    "mul": ((elementwise.fits, elementwise.RULE),),
    "global_avg_pool": ((mean.fits, mean.RULE),),
    "avg_pool": ((mean.fits_average, mean.AVERAGE_RULE),),
    "lookup": ((lookup.fits, lookup.RULE),),
}
"""By operation: whether shapes and elements suit a kernel, and its rule; the first that fits is taken."""


def helium_rule(op: Op) -> Rule[Any] | None:
    """The rule of a quantized operation; None where it has no kernel here."""
    return next((rule for fits, rule in HELIUM_RULES.get(op.opcode, ()) if fits(op)), None)
