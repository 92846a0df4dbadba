"""Which known name a misspelt one is taken for."""

from __future__ import annotations

import pytest

from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.targets import NAMES


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("stm32f4", "stm32f407"),
        ("stm32h", "stm32h743"),
        ("cortex-m0", "cortex-m0plus"),
        ("CORTEX-M4", "cortex-m4"),
        ("cortexm4", "cortex-m4"),
        ("m4", "cortex-m4"),
        ("nrf52832", "nrf52840"),
        ("iree-cpus", "iree-cpu"),
        ("esp32", None),
        ("m", None),
    ],
)
def test_the_nearest_target(written: str, meant: str | None) -> None:
    assert did_you_mean(written, NAMES) == meant


def test_a_beginning_goes_before_a_likeness() -> None:
    assert did_you_mean("conv", ["cond", "conv_bn", "conv2d"]) == "conv2d"


def test_a_short_beginning_says_nothing() -> None:
    assert did_you_mean("co", ["conv2d"]) is None
