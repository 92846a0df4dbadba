"""Images on their way to the first layer: tables of their own for each channel, and the border around them."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.kernels.machine import isa_of
from mnetdsl.ir.core import Value
from tests.backends.iree.quantized.cases import I8, U8, QuantizedMaker
from tests.backends.iree.quantized.kernels.byte_harness import EVERY_ROW, require_row
from tests.backends.iree.quantized.kernels.test_isas import ROWS, target_of, wrong
from tests.backends.iree.quantized.kernels.test_layers import module_of


def images(maker: QuantizedMaker) -> list[Value]:
    found = []
    for height, width, depth in ((16, 16, 3), (13, 16, 3), (8, 40, 2), (1, 80, 5), (12, 4, 3)):
        tables = maker.random.integers(-128, 128, (depth, 256)).astype(np.int8)
        image = maker.op("lookup", {"input": maker.fresh(U8, height, width, depth), "table": maker.held(tables)}, I8)
        margins = (1, 0, 2, 1)
        found += [image, maker.layer("conv2d", image, (1, 3, depth, 8), I8, plain=True, padding=margins)]
    same = np.tile(maker.random.integers(-128, 128, 256).astype(np.int8), (3, 1))
    found.append(maker.op("lookup", {"input": maker.fresh(I8, 16, 16, 3), "table": maker.held(same)}, I8))
    for shape, margins in (((5, 21, 3), (1, 1, 1, 1)), ((3, 22, 3), (0, 2, 0, 1)), ((4, 70, 3), (2, 0, 3, 0))):
        found.append(maker.layer("conv2d", maker.fresh(I8, *shape), (2, 2, 3, 20), I8, plain=True, padding=margins))
    return found


@pytest.mark.parametrize("row", EVERY_ROW)
def test_images_have_the_interpreters_bits(row: str, request: pytest.FixtureRequest) -> None:
    target = target_of(row, request.getfixturevalue("monkeypatch"))
    require_row(row, target, request)
    assert set(wrong(module_of(images), target.name, batch=4).values()) == {0}


def test_images_have_the_interpreters_bits_on_the_processor_at_hand() -> None:
    assert set(wrong(module_of(images), "iree-cpu", batch=4).values()) == {0}


@pytest.mark.parametrize("row", list(ROWS))
def test_all_but_the_smallest_images_take_kernels_of_ours(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    roads = emit(module_of(images), isa=isa_of(target_of(row, monkeypatch))).roads
    left = [road.reason for road in roads if road.kernel is None]
    assert set(left) <= {"its channels have tables of their own"}
    assert len(left) <= 1
