"""argmax as C."""

from __future__ import annotations

import numpy as np

from mnetdsl.backends.c.host import HostRunner
from mnetdsl.interpreter import run
from mnetdsl.ir.types import ElementType, Quantization, TensorType
from tests.backends.c.harness import Cases, random_inputs
from tests.toolchain import require


def test_indices_are_those_of_the_interpreter_for_real_and_stored_numbers() -> None:
    require("gcc")
    cases = Cases()
    found = []
    for sizes in ((1,), (10,), (3, 4, 21), (5, 1)):
        found.append(cases.op("argmax", {"input": cases.value(*sizes)}))
        # Most numbers are 0 behind it: the first of equal ones counts.
        found.append(cases.op("argmax", {"input": cases.op("relu", {"input": cases.value(*sizes)})}))
    for element, zero in ((ElementType.I8, -3), (ElementType.U8, 100), (ElementType.I16, 0)):
        type = TensorType((1, 4, 5, 3), element, Quantization.per_tensor(0.5, zero))
        x = cases.maker.builder.input(f"stored_{element.value}", type).value
        found.append(cases.op("argmax", {"input": cases.op("max_pool", {"input": x}, kernel=(2, 2))}))
    for number, value in enumerate(found):
        cases.maker.builder.output(f"out{number}", value)
    inputs = random_inputs(cases.module, batch=3)
    expected = run(cases.module, inputs)
    results = HostRunner(cases.module).run(inputs)
    for name, indices in expected.items():
        assert indices.dtype == results[name].dtype == np.int32
        np.testing.assert_array_equal(results[name], indices)
