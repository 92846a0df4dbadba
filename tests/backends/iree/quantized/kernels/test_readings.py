"""Largest numbers, their places, softmax and conversions have the interpreter's bits on kernels of ours."""

from __future__ import annotations

from typing import Any

import pytest

from mnetdsl.ir.core import Value
from mnetdsl.ir.types import ElementType
from tests.backends.iree.quantized.cases import I8, U8, QuantizedMaker, storage
from tests.backends.iree.quantized.kernels.byte_harness import EVERY_ROW, check, module_of

SHARES = {I8: storage(ElementType.I8, 1 / 256, -128), U8: storage(ElementType.U8, 1 / 256)}
COARSE = {I8: storage(ElementType.I8, 1 / 128, -128), U8: storage(ElementType.U8, 1 / 100, 3)}
STEEP = {I8: storage(ElementType.I8, 0.9, 20), U8: storage(ElementType.U8, 0.9, 20)}


def pooled(maker: QuantizedMaker) -> list[Value]:
    found = []
    for stored in (I8, U8):
        for shape in ((9, 8, 21), (5, 7, 3), (4, 4, 64)):
            source = maker.fresh(stored, *shape)
            for kernel, stride, padding in ((2, 2, (0, 0, 0, 0)), (3, 1, (1, 1, 1, 1)), (3, 2, (0, 1, 0, 1))):
                settings: dict[str, Any] = {"strides": (stride, stride), "padding": padding}
                found.append(maker.op("max_pool", {"input": source}, kernel=(kernel, kernel), **settings))
            found.append(maker.op("argmax", {"input": source}))
    return found


def shares(maker: QuantizedMaker) -> list[Value]:
    found = []
    for stored in (I8, U8):
        for shape in ((2,), (1001,), (7, 9), (3, 4, 16)):
            for grid in (stored, STEEP[stored]):
                for result in (SHARES[stored], COARSE[stored]):
                    found.append(maker.op("softmax", {"input": maker.fresh(grid, *shape)}, result))
    return found


def converted(maker: QuantizedMaker) -> list[Value]:
    found = []
    for stored in (I8, U8):
        for shape in ((5,), (3, 4, 21), (6, 64)):
            found.append(maker.op("dequantize", {"input": maker.fresh(stored, *shape)}))
            found.append(maker.op("quantize", {"input": maker.fresh(None, *shape)}, stored))
            real = maker.op("dequantize", {"input": maker.fresh(stored, *shape)})
            found.append(maker.op("quantize", {"input": real}, storage(stored.element, 0.1, 7)))
    return found


@pytest.mark.parametrize("row", EVERY_ROW)
@pytest.mark.parametrize("layers", [pooled, shares, converted])
def test_layers_have_the_interpreters_bits(layers: Any, row: str, request: pytest.FixtureRequest) -> None:
    check(module_of(layers), row, request)
