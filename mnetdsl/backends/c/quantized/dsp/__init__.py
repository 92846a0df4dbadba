"""Kernels of 8-bit layers for Armv7E-M and Armv8-M with the DSP extension: Cortex-M4, M7, M33 and above.

A rule here plans for a kernel by shapes alone. Once weights are there, `finish` proves channel by channel that the
kernel's arithmetic gives the reference's bits; where it cannot, the portable kernel takes the layer, in the same place.
Every kernel is assembly for gcc and clang with a twin in C, for other compilers and for tests on a host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnetdsl.backends.c.choice import Rule
from mnetdsl.backends.c.quantized.dsp import depthwise, elementwise, lookup, pointwise, vector, window
from mnetdsl.ir.core import Op

DSP_RULES: dict[str, tuple[tuple[Callable[[Any], bool], Rule[Any]], ...]] = {
    "conv2d": ((vector.fits, vector.CONV_RULE), (pointwise.fits, pointwise.RULE), (window.fits, window.RULE)),
    "add": ((elementwise.fits_sum, elementwise.SUM_RULE),),
    "sub": ((elementwise.fits_sum, elementwise.SUM_RULE),),
    "mul": ((elementwise.fits_product, elementwise.PRODUCT_RULE),),
    "lookup": ((lookup.fits, lookup.RULE),),
    "dense": ((vector.fits, vector.DENSE_RULE),),
    "depthwise_conv2d": ((depthwise.fits, depthwise.RULE),),
}
"""By operation: whether shapes and elements suit a kernel, and its rule; the first that fits is taken."""


def dsp_rule(op: Op) -> Rule[Any] | None:
    """The rule of a quantized operation; None where it has no kernel here."""
    return next((rule for fits, rule in DSP_RULES.get(op.opcode, ()) if fits(op)), None)
