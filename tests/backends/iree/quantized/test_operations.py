"""Every operation on stored integers has the interpreter's bits on IREE."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from mnetdsl.backends.iree.package import generate
from mnetdsl.backends.iree.quantized import QUANTIZED_EMITTERS
from mnetdsl.backends.iree.runner import IreeRunner
from mnetdsl.diagnostics import MnetError
from mnetdsl.interpreter import run
from mnetdsl.interpreter.quantized import QUANTIZED
from mnetdsl.ir.core import Module
from tests.backends.iree.harness import inputs_of, require_target
from tests.backends.iree.quantized.cases import CASES, SUMS_IN_64_BITS, QuantizedMaker


def module_of(names: Collection[str]) -> Module:
    """One module with an output for every case, under the case's name."""
    maker = QuantizedMaker("quantized_operations")
    for name in names:
        maker.output(CASES[name](maker), name)
    return maker.module


def test_every_operation_of_the_interpreter_has_an_emitter() -> None:
    assert set(QUANTIZED_EMITTERS) == set(QUANTIZED)


def differing(names: Collection[str], target: str) -> dict[str, int]:
    """How many results of each case differ from the interpreter's."""
    require_target(target)
    module = module_of(names)
    inputs = inputs_of(module, batch=3)
    expected = run(module, inputs)
    assert all(reference.std() > 0 for reference in expected.values())
    results = IreeRunner(module, target).run(inputs)
    return {
        name: int((results[name] != array).sum()) for name, array in expected.items() if (results[name] != array).any()
    }


def test_results_are_the_interpreters_bit_for_bit_on_cpus() -> None:
    assert differing(CASES, "iree-cpu") == {}


VULKAN = (
    "i8: pointwise",
    "u8: depthwise",
    "i8: dense per channel",
    "i8: add",
    "u8: mul",
    "i8: lookup",
    "i8: global_avg_pool",
)
"""A choice that lavapipe, which compiles for seconds a case, has soon."""


def test_results_are_the_interpreters_bit_for_bit_on_vulkan() -> None:
    assert differing(VULKAN, "iree-vulkan:linalg") == {}


@pytest.mark.slow
@pytest.mark.parametrize("target", ["iree-vulkan", "iree-vulkan:linalg"])
def test_all_results_are_the_interpreters_bit_for_bit_on_vulkan(target: str) -> None:
    """16 bits included, for which kernels of our own leave layers to linalg."""
    assert differing([name for name in CASES if name not in SUMS_IN_64_BITS], target) == {}


@pytest.mark.parametrize("target", ["iree-vulkan", "iree-vulkan:linalg"])
def test_sums_of_64_bits_are_refused_where_the_target_has_32(target: str) -> None:
    name = min(SUMS_IN_64_BITS)
    with pytest.raises(MnetError) as refused:
        generate(module_of([name]), "net", target)
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == "MN1113"
    assert "64 bits" in diagnostic.message
