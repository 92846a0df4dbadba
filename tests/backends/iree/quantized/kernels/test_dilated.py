"""Depthwise windows whose places stand apart have the interpreter's bits on kernels of ours."""

from __future__ import annotations

import pytest

from mnetdsl.ir.core import Value
from tests.backends.iree.quantized.cases import I8, U8, QuantizedMaker
from tests.backends.iree.quantized.kernels.byte_harness import EVERY_ROW, check, module_of


def dilated(maker: QuantizedMaker) -> list[Value]:
    found = []
    for stored in (I8, U8):
        for size, channels, kernel, stride, dilations, padding in (
            ((9, 17), 21, 3, 1, (2, 2), (2, 2, 2, 2)),
            ((9, 33), 64, 3, 1, (4, 4), (4, 4, 4, 4)),  # windows that reach over both edges of the map
            ((11, 12), 5, 5, 2, (2, 3), (3, 4, 6, 6)),
            ((14, 9), 20, 2, 1, (3, 1), (0, 0, 0, 1)),
        ):
            found.append(
                maker.layer(
                    "depthwise_conv2d",
                    maker.fresh(stored, *size, channels),
                    (kernel, kernel, channels, 1),
                    stored,
                    plain=True,
                    strides=(stride, stride),
                    dilations=dilations,
                    padding=padding,
                )
            )
    return found


@pytest.mark.parametrize("row", EVERY_ROW)
def test_dilated_windows_have_the_interpreters_bits(row: str, request: pytest.FixtureRequest) -> None:
    check(module_of(dilated), row, request)
