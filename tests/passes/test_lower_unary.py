"""Functions of 8-bit numbers become tables; nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.interpreter import run
from mnetdsl.ir.builder import Builder
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.ops.lookup import Lookup
from mnetdsl.ir.types import ElementType, Quantization, Storage, TensorType
from mnetdsl.ir.verifier import verify
from mnetdsl.passes.context import Context
from mnetdsl.passes.derive import materialize
from mnetdsl.passes.lower_unary import LowerUnary

I8 = Storage(ElementType.I8, Quantization.per_tensor(0.05, -3))
I16 = Storage(ElementType.I16, Quantization.per_tensor(0.0005, 0))


Step = tuple[str, Storage | None, dict[str, tuple[float, ...]]]
"""Opcode, storage, attributes."""


def lowered(source: TensorType, *steps: Step) -> Module:
    module = Module("m")
    builder = Builder(module.graph)
    value: Value = builder.input("x", source).value
    for number, (opcode, storage, attributes) in enumerate(steps):
        op = OPERATIONS[opcode]({"input": value}, attributes, Location(f"layer.{number}"), storage)
        module.graph.operations.append(op)
        value = op.result
    builder.output("y", value)
    verify(module)
    LowerUnary().run(module, Context())
    verify(module)
    return module


def kinds(module: Module) -> list[str]:
    return [op.opcode for op in module.graph.operations]


def image(shape: tuple[int, ...] = (1, 4, 4, 3)) -> TensorType:
    return TensorType(shape, ElementType.U8)


def test_a_function_of_eight_bits_is_a_table_under_its_name() -> None:
    module = lowered(TensorType((1, 4)).stored_as(I8), ("hard_swish", I8, {}))
    assert kinds(module) == ["constant", "lookup"]
    lookup = module.graph.operations[1]
    assert isinstance(lookup, Lookup)
    assert lookup.name == "layer.0"
    assert lookup.type.storage == I8
    assert lookup.table.type == TensorType((256,), ElementType.I8)
    assert list(module.derived) == ["layer.0.table"]


def test_a_requantization_of_eight_bits_is_a_table_too() -> None:
    other = Storage(ElementType.U8, Quantization.per_tensor(0.05, 125))
    assert kinds(lowered(TensorType((1, 4)).stored_as(I8), ("requantize", other, {}))) == ["constant", "lookup"]


def test_a_declared_image_is_looked_up() -> None:
    steps: tuple[Step, ...] = (("normalize", None, {"mean": (127.5,), "std": (127.5,)}), ("quantize", I8, {}))
    module = lowered(image(), *steps)
    assert kinds(module) == ["constant", "lookup"]
    assert module.graph.operations[0].type.shape == (256,)


def test_an_image_with_a_mean_for_each_channel_has_a_row_for_each() -> None:
    steps: tuple[Step, ...] = (("normalize", None, {"mean": (1.0, 2.0, 3.0), "std": (58.0,)}), ("quantize", I8, {}))
    assert lowered(image(), *steps).graph.operations[0].type.shape == (3, 256)


def test_sixteen_bits_and_floats_stay() -> None:
    assert kinds(lowered(TensorType((1, 4)).stored_as(I16), ("hard_swish", I16, {}))) == ["hard_swish"]
    assert kinds(lowered(TensorType((1, 4)), ("hard_swish", None, {}))) == ["hard_swish"]
    assert kinds(lowered(TensorType((1, 4)), ("quantize", I8, {}))) == ["quantize"]


def test_a_requantization_to_the_same_numbers_is_gone() -> None:
    module = lowered(TensorType((1, 4)).stored_as(I8), ("requantize", I8, {}), ("hard_swish", I8, {}))
    assert kinds(module) == ["constant", "lookup"]


@pytest.mark.parametrize("opcode", ["add", "sub", "mul"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_an_operation_with_one_constant_number_is_a_table_with_its_bits(opcode: str, side: str) -> None:
    constant = Storage(ElementType.I8, Quantization.per_tensor(0.02, -128))
    module = Module("m")
    builder = Builder(module.graph)
    x = builder.input("x", TensorType((1, 16, 16, 1)).stored_as(I8)).value
    number = Constant({}, {"resource": "number", "shape": (1, 1, 1, 1), "element": "i8"}, Location("number"), constant)
    module.graph.operations.append(number)
    operands = {side: number.result, "right" if side == "left" else "left": x}
    op = OPERATIONS[opcode](operands, {"activation": "none"}, Location("layer"), I8)
    module.graph.operations.append(op)
    builder.output("y", op.result)
    module.resources["number"] = np.full((1, 1, 1, 1), 77, np.int8)
    inputs = {"x": np.arange(-128, 128, dtype=np.int8).reshape(1, 16, 16, 1)}
    expected = run(module, inputs)["y"]
    LowerUnary().run(module, Context())
    verify(module)
    materialize(module)
    assert "lookup" in kinds(module)
    assert opcode not in kinds(module)
    assert np.array_equal(run(module, inputs)["y"], expected)
    assert len(np.unique(expected)) > 50
