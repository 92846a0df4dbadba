"""Sums that neither float32 nor the short fixed-point form brings to bytes have the interpreter's bits all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.kernels.machine import isa_of
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.ir.core import Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType
from tests.backends.iree.quantized.cases import I8, U8, QuantizedMaker, storage
from tests.backends.iree.quantized.kernels.byte_harness import EVERY_ROW, check, module_of


def unusual(maker: QuantizedMaker) -> list[Value]:
    """Layers with factors above 1, of 1/2, tiny ones and none, and sums of far scales."""
    found = []
    for source, scales, activation in ((I8, 0, "none"), (U8, 1, "none"), (I8, 0, "relu")):
        stored = storage(source.element, 0.02, -5 if source is I8 else 122)
        layers: tuple[tuple[str, Value, tuple[int, ...], dict[str, Any]], ...] = (
            ("conv2d", maker.fresh(source, 5, 5, 24), (1, 1, 24, 35), {}),
            ("conv2d", maker.fresh(source, 5, 6, 3), (3, 3, 3, 20), {"padding": (1, 1, 1, 1)}),
            ("depthwise_conv2d", maker.fresh(source, 6, 5, 19), (3, 3, 19, 1), {"padding": (1, 1, 1, 1)}),
            ("dense", maker.fresh(source, 40), (40, 21), {}),
        )
        for opcode, value, filter, attributes in layers:
            layer = maker.layer(opcode, value, filter, stored, scales=scales, activation=activation, **attributes)
            found.append(layer)
            assert layer.producer is not None
            constant = layer.producer.operand_group("filter_scale")[0].producer
            assert isinstance(constant, Constant)
            scale = constant.resource
            array = maker.module.resources[scale]
            spread = 2.0 ** maker.random.integers(-26, 5, array.shape) if array.size > 1 else np.ones(1) / 64
            maker.module.resources[scale] = (np.float32(0.4) * spread).astype(np.float32)
    for element, zero in ((ElementType.I8, -3), (ElementType.U8, 120)):
        first, second = storage(element, 0.05, zero), storage(element, 0.0125, zero + 9)
        for result in (storage(element, 0.025, zero), storage(element, 0.00625, zero), storage(element, 1.7, zero)):
            for opcode in ("add", "sub"):
                left, right = maker.fresh(first, 5, 7, 20), maker.fresh(second, 5, 7, 20)
                found.append(maker.op(opcode, {"left": left, "right": right}, result))
    return found


@pytest.mark.parametrize("row", EVERY_ROW)
def test_unusual_factors_have_the_interpreters_bits(row: str, request: pytest.FixtureRequest) -> None:
    check(module_of(unusual), row, request)


def test_what_float32_cannot_sum_is_summed_in_fixed_point() -> None:
    """Halves of the result's grid, which the reference rounds away from zero on either side of it."""

    def build(m: QuantizedMaker) -> list[Value]:
        stored = storage(ElementType.I8, 0.05, 0)
        halved = storage(ElementType.I8, 0.1, 0)
        return [m.op("add", {"left": m.fresh(stored, 3, 3, 16), "right": m.fresh(stored, 3, 3, 16)}, halved)]

    (road,) = emit(module_of(build), isa=isa_of(TARGETS["iree-cpu"])).roads
    assert road.kernel == "bytes_fixed_sum_144"
