"""Operations on constants become constants, by the interpreter's arithmetic."""

from __future__ import annotations

import numpy as np

from mnetdsl.ir.clone import clone
from mnetdsl.ir.core import Module
from mnetdsl.passes.canonicalize import Canonicalize
from mnetdsl.passes.fold_constants import FoldConstants
from mnetdsl.passes.pass_manager import run_passes
from tests.passes.helpers import LayerMaker, assert_same_results, opcodes, passed

FOLD = FoldConstants()


def scaled() -> Module:
    """image * relu(a + tanh(b))"""
    maker = LayerMaker()
    image = maker.input(2, 2, 3)
    a, b = (maker.random_constant(name, 1, 2, 2, 3) for name in "ab")
    gate = maker.op("add", a, maker.op("tanh", b, name="tanh"), activation="relu", name="gate")
    return maker.output(maker.op("mul", image, gate))


def test_a_chain_of_operations_on_constants() -> None:
    module, remarks = passed(scaled(), FOLD)
    assert opcodes(module) == ["mul"]
    assert remarks == [
        "fold-constants: folded `tanh` into a constant (net.mnet:1)",
        "fold-constants: folded `gate` into a constant (net.mnet:2)",
    ]
    a, b, gate = (module.resources[name].astype(np.float32) for name in ("a", "b", "gate.value"))
    np.testing.assert_allclose(gate, np.maximum(a + np.tanh(b), 0), rtol=1e-6)


def test_without_weights_and_with_weights_loaded_later() -> None:
    original = scaled()
    arrays = dict(original.resources)
    folded = clone(original)
    folded.resources.clear()
    run_passes(folded, [FOLD])
    assert opcodes(folded) == ["mul"]
    assert folded.required().keys() == arrays.keys()
    folded.resources.update(arrays)
    run_passes(folded, [])
    assert_same_results(original, folded)


def test_operations_with_optional_and_variadic_operands() -> None:
    maker = LayerMaker()
    image = maker.input(2, 2, 4)
    x = maker.random_constant("x", 1, 4, 4, 3)
    conv = maker.conv("conv", x, 2, kernel=3, strides=(2, 2), padding=(1, 1, 1, 1), bias=True)
    joined = maker.op("concat", group=[conv, conv], axis=3)
    module, _ = passed(maker.output(maker.op("add", image, joined)), FOLD)
    assert opcodes(module) == ["add"]


def test_an_output_must_be_computed() -> None:
    maker = LayerMaker()
    maker.input(2)
    module, remarks = passed(maker.output(maker.op("relu", maker.random_constant("c", 1, 4), name="act")), FOLD)
    assert opcodes(module) == ["relu"]
    assert remarks == ["fold-constants: not folded `act`: it is an output (net.mnet:1)"]


def test_a_result_above_the_bound_stays() -> None:
    module, remarks = passed(scaled(), FoldConstants(max_elements=11))
    assert opcodes(module) == ["tanh", "add", "mul"]
    assert remarks == ["fold-constants: not folded `tanh`: 12 elements are more than 11 (net.mnet:1)"]


def test_operations_that_read_an_input_stay() -> None:
    maker = LayerMaker()
    module, remarks = passed(maker.output(maker.conv("conv", maker.input(2, 2, 3), 4)), FOLD, Canonicalize())
    assert opcodes(module) == ["conv2d"]
    assert remarks == []
