"""What the tests of kernels on bytes share: modules that run by them alone, on every row that the machine has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.kernels.isa import BYTE_ISAS
from mnetdsl.backends.iree.kernels.machine import features_of, isa_of
from mnetdsl.backends.iree.processor import lacking, recorded
from mnetdsl.backends.iree.targets import IreeTarget
from mnetdsl.backends.runners import make_runner
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Value
from tests.backends.iree.harness import inputs_of
from tests.backends.iree.quantized.cases import QuantizedMaker
from tests.backends.iree.quantized.kernels.test_isas import ROWS, target_of

QUICK = ("avx512-vnni", "avx2")
EVERY_ROW = [pytest.param(isa.name, marks=() if isa.name in QUICK else pytest.mark.slow) for isa in BYTE_ISAS]
"""Those of other processors under QEMU."""
Build = Callable[[QuantizedMaker], list[Value]]


def module_of(build: Build, seed: int = 5) -> Module:
    """A module with an output for each value, named by number, layer and type."""
    maker = QuantizedMaker("bytes", seed=seed)
    for number, value in enumerate(build(maker)):
        maker.output(value, f"{number}: {value.producer.opcode if value.producer else 'input'} {value.type}")
    return maker.module


def require_row(row: str, target: IreeTarget, request: pytest.FixtureRequest) -> None:
    """Skips where the processor lacks the instructions of `row`; those of ARM run under QEMU."""
    if "x86" in ROWS[row][0]:
        missing = lacking(recorded(features_of(target.flags)))
        if missing:
            pytest.skip(f"this processor lacks {', '.join(missing)}")
    else:
        request.getfixturevalue("aarch64")


def check(module: Module, row: str, request: pytest.FixtureRequest, batch: int = 2) -> None:
    """Every layer has a kernel of ours on `row`, and the interpreter's bits; the last two of the inputs are all lowest
    and all highest numbers."""
    target = target_of(row, request.getfixturevalue("monkeypatch"))
    roads = emit(module, isa=isa_of(target)).roads
    assert [f"{road.location.name}: {road.reason}" for road in roads if road.kernel is None] == []
    require_row(row, target, request)
    inputs = inputs_of(module, batch + 2)
    for array in inputs.values():
        if array.dtype.kind in "iu":
            limits = np.iinfo(array.dtype)
            array[-2], array[-1] = limits.min, limits.max
    expected, results = run(module, inputs), make_runner(target.name, module).run(inputs)
    assert all(array.std() > 0 for array in expected.values())
    wrong = {name: int((results[name] != array).sum()) for name, array in expected.items()}
    assert {name: count for name, count in wrong.items() if count} == {}
