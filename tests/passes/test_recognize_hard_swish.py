"""Sums, clamps and products under their names, and what must stay as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mnetdsl.ir.core import Module
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.passes.canonicalize import Canonicalize
from mnetdsl.passes.context import Context
from mnetdsl.passes.derive import materialize
from mnetdsl.passes.pass_manager import run_passes
from mnetdsl.passes.pipelines import optimize
from mnetdsl.passes.recognize_hard_swish import RecognizeHardSwish
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from tests.passes.helpers import opcodes, passed

RECOGNIZE = (Canonicalize(), RecognizeHardSwish())
SIXTH = "0.16666667"


def network(*statements: str) -> Module:
    lines = "\n".join(f"  {statement}" for statement in statements)
    text = f"mnet 1\nmodel net() {{\n  input x: f32[4, 5, 6]\n{lines}\n}}\n"
    module = build(SourceFile("net.mnet", text)).module
    materialize(module)
    return module


@pytest.mark.parametrize(
    "expression",
    [
        f"relu6(x + 3) * {SIXTH}",
        f"{SIXTH} * relu6(3 + x)",
        f"clamp(x + 3, 0, 6) * {SIXTH}",
        f"clamp(x * {SIXTH} + 0.5, 0, 1)",
        f"relu6(x + [3, 3, 3, 3, 3, 3]) * {SIXTH}",
    ],
)
def test_every_form_of_hard_sigmoid(expression: str) -> None:
    module, remarks = passed(network(f"output y = {expression}"), *RECOGNIZE)
    assert opcodes(module) == ["hard_sigmoid"]
    assert remarks[-1].startswith("recognize-hard-swish: wrote `y` as hard_sigmoid")


@pytest.mark.parametrize(
    "expression",
    [
        f"x * (relu6(x + 3) * {SIXTH})",
        f"x * relu6(x + 3) * {SIXTH}",
        f"x * {SIXTH} * relu6(x + 3)",
        f"relu6(x + 3) * x * {SIXTH}",
        f"clamp(x * {SIXTH} + 0.5, 0, 1) * x",
        "x * hard_sigmoid(x)",
    ],
)
def test_every_form_of_hard_swish(expression: str) -> None:
    module, _ = passed(network(f"output y = {expression}"), *RECOGNIZE)
    assert opcodes(module) == ["hard_swish"]
    assert module.graph.operations[0].name == "y"


def test_nothing_of_it_needs_weights_and_the_layer_in_front_takes_it() -> None:
    module = network("c = conv2d(x, 8) as conv", f"output y = c * relu6(c + 3) * {SIXTH}")
    assert opcodes(optimize(module)) == ["conv2d"]
    module.resources.clear()
    (layer,) = (op for op in optimize(module).graph.operations if op.opcode != "constant")
    assert (layer.name, layer.attributes["activation"]) == ("conv", "hard_swish")


KEPT: dict[str, Callable[[], Module]] = {
    "another offset": lambda: network(f"output y = relu6(x + 2.5) * {SIXTH}"),
    "another slope": lambda: network("output y = relu6(x + 3) * 0.2"),
    "the slope of Keras' first hard sigmoid": lambda: network("output y = clamp(x * 0.2 + 0.5, 0, 1)"),
    "another bound": lambda: network(f"output y = clamp(x + 3, 0, 5) * {SIXTH}"),
    "channels differ": lambda: network(f"output y = relu6(x + [3, 3, 3, 3, 3, 2]) * {SIXTH}"),
    "the gate of another tensor": lambda: network("z = tanh(x)", f"output y = relu6(z + 3) * x * {SIXTH}"),
    "a product that is clamped": lambda: network(f"output y = relu(relu6(x + 3) * x) * {SIXTH}"),
}


@pytest.mark.parametrize("case", KEPT)
def test_what_computes_something_else_stays(case: str) -> None:
    module, _ = passed(KEPT[case](), *RECOGNIZE)
    assert "hard_swish" not in opcodes(module)
    assert "hard_sigmoid" not in opcodes(module)


def test_an_offset_that_is_a_weight_stays_whatever_its_value() -> None:
    module = network("output y = channel_scale(relu6(x + 3)) as scale")
    run_passes(module, RECOGNIZE, Context())
    assert opcodes(module) == ["add", "relu6", "mul"]


def test_steps_that_others_read_stay_for_them() -> None:
    module, _ = passed(
        network("g = relu6(x + 3)", f"output y = g * {SIXTH}", "output z = g * 2"),
        *RECOGNIZE,
    )
    assert sorted(opcodes(module)) == ["add", "hard_sigmoid", "mul", "relu6"]


def test_quantized_steps_stay_since_each_of_them_rounds() -> None:
    module = network(f"output y = relu6(x + 3) * {SIXTH}")
    stored = Storage(ElementType.I8, Quantization.per_tensor(0.1, 0))
    for op in module.graph.operations:
        if op.opcode != "constant":
            op.storage = stored
            op.result.type = op.result.type.stored_as(stored)
    RecognizeHardSwish().run(module, Context())
    assert opcodes(module) == ["add", "relu6", "mul"]
