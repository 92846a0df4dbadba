"""Bytes that move, and maps in another size, have the interpreter's bits on kernels of ours."""

from __future__ import annotations

import pytest

from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.kernels.machine import isa_of
from mnetdsl.backends.iree.quantized.kernels.runs import Run
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.ir.core import Value
from mnetdsl.ir.types import Storage
from tests.backends.iree.quantized.cases import I8, U8, QuantizedMaker, storage
from tests.backends.iree.quantized.kernels.byte_harness import EVERY_ROW, check, module_of

STORED = (I8, U8)


def other(stored: Storage) -> Storage:
    """Another grid of the same elements."""
    return storage(stored.element, 0.031, 11 if stored is I8 else 99)


def moved(maker: QuantizedMaker) -> list[Value]:
    """Shapes drawn anew for each kind, channels that fill no vector among them, first and second readers."""
    found = []

    def draw(*ends: tuple[int, int]) -> list[int]:
        return [int(maker.random.integers(low, high)) for low, high in ends]

    for stored in STORED:
        for channels in (3, 21, 64):
            height, width = draw((2, 7), (2, 9))
            source = maker.fresh(stored, height, width, channels)
            table = maker.op("requantize", {"input": source}, other(stored))
            found.append(table)
            found.append(maker.op("pad", {"input": source}, padding=tuple(draw(*[(0, 3)] * 4)), value=0.4))
            begin = draw((0, height), (0, width), (0, channels))
            size = [
                1 + int(maker.random.integers(0, end - at))
                for at, end in zip(begin, source.type.shape[1:], strict=True)
            ]
            found.append(maker.op("slice", {"input": table}, begin=tuple(begin), size=tuple(size)))
            for order in ((1, 0, 2), (2, 0, 1), (0, 2, 1)):
                found.append(maker.op("transpose", {"input": source}, order=order))
            near = maker.fresh(other(stored), height, width, 5)
            found.append(maker.op("concat", {"inputs": [source, near, table]}, stored, axis=3))
            beside = maker.fresh(stored, height, 3, channels)
            found.append(maker.op("concat", {"inputs": [source, beside]}, stored, axis=2))
            below = maker.fresh(other(stored), 1, width, channels)
            found.append(maker.op("concat", {"inputs": [source, below]}, stored, axis=1))
        for before, after in (((5, 4, 12), (60, 1, 4)), ((7, 273), (21, 91)), ((6, 4), (24,)), ((3, 10), (6, 5))):
            source = maker.fresh(stored, *before)
            renamed = maker.op("reshape", {"input": source}, shape=after)
            found += [renamed, maker.op("requantize", {"input": renamed}, other(stored))]
            rows = maker.op("requantize", {"input": source}, other(stored))
            found.append(maker.op("reshape", {"input": rows}, shape=after))
            found.append(maker.op("concat", {"inputs": [renamed, renamed]}, stored, axis=1))
    return found


def resized(maker: QuantizedMaker) -> list[Value]:
    found = []
    for stored in STORED:
        for channels, before, after in ((21, (5, 6), (17, 23)), (3, (7, 4), (3, 4)), (70, (1, 1), (4, 3))):
            source = maker.fresh(stored, *before, channels)
            for method in ("nearest", "bilinear"):
                for corners, centers in ((False, False), (True, False), (False, True)):
                    found.append(
                        maker.op(
                            "resize",
                            {"input": source},
                            size=after,
                            method=method,
                            align_corners=corners,
                            half_pixel_centers=centers,
                        )
                    )
    return found


@pytest.mark.parametrize("row", EVERY_ROW)
def test_bytes_that_move_are_the_interpreters(row: str, request: pytest.FixtureRequest) -> None:
    check(module_of(moved), row, request)


@pytest.mark.parametrize("row", EVERY_ROW)
def test_maps_in_another_size_have_the_interpreters_bits(row: str, request: pytest.FixtureRequest) -> None:
    check(module_of(resized), row, request)


def test_runs_that_follow_each_other_on_both_sides_are_one() -> None:
    assert Run(0, 0, 0, ((4, 60, 60), (5, 12, 12)), 12).joined() == Run(0, 0, 0, (), 240)
    assert Run(0, 0, 0, ((4, 60, 80), (5, 12, 16)), 12).joined() == Run(0, 0, 0, ((20, 12, 16),), 12)
    assert Run(0, 0, 8, ((4, 99, 80), (1, 7, 7)), 12).joined() == Run(0, 0, 8, ((4, 99, 80),), 12)


def test_a_name_for_the_same_bytes_copies_nothing() -> None:
    def build(m: QuantizedMaker) -> list[Value]:
        narrow = m.op("reshape", {"input": m.fresh(I8, 4, 6)}, shape=(24,))
        return [narrow, m.op("reshape", {"input": m.fresh(I8, 4, 4, 64)}, shape=(16, 64))]

    roads = emit(module_of(build), isa=isa_of(TARGETS["iree-cpu"])).roads
    assert [road.kernel for road in roads] == ["reshape", "reshape"]
