"""normalize as C."""

from __future__ import annotations

import numpy as np

from mnetdsl.backends.c.host import HostRunner
from mnetdsl.interpreter import run
from mnetdsl.ir.types import ElementType
from tests.backends.c.harness import Cases, random_inputs
from tests.toolchain import require


def test_normalize_gives_the_interpreters_bits_for_every_element_type() -> None:
    require("gcc")
    cases = Cases()
    for element in (ElementType.U8, ElementType.I8, ElementType.F32):
        for mean, std in (((127.5,), (127.5,)), ((123.0, 116.0, 103.0), (58.0, 57.0, 57.5)), ((0.5,), (1.0, 2.0, 3.0))):
            x = cases.input(4, 5, 3, element=element)
            cases.maker.builder.output(f"o{cases.count}", cases.op("normalize", {"input": x}, mean=mean, std=std))
    inputs = random_inputs(cases.module)
    found, wanted = HostRunner(cases.module).run(inputs), run(cases.module, inputs)
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])
