"""Each rule of a stage sees its violation, and a sound module has none."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.ir.core import Module, Op, Port, Value
from mnetdsl.ir.derivation import Derivation
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops.batch_norm import BatchNorm
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.elementwise import Add
from mnetdsl.ir.ops.unary import Relu, Tanh
from mnetdsl.ir.types import ElementType, Quantization, TensorType, type_problem
from mnetdsl.ir.verifier import Stage, VerificationError, verify, violations
from tests.graphs import GraphMaker

I8 = ElementType.I8


def sound() -> GraphMaker:
    maker = GraphMaker()
    x = maker.input(4)
    w = maker.random_constant("fc.weight", 4, 3)
    fc = maker.builder.add(Dense, Location("fc"), {"input": x, "filter": w})
    maker.output(maker.builder.add(Relu, operands={"input": fc.result}).result)
    return maker


def messages(module: Module, stage: Stage = Stage.BUILT) -> str:
    return "; ".join(violation.message for violation in violations(module, stage))


def op(module: Module, index: int) -> Op:
    return module.graph.operations[index]


def test_a_sound_module_passes_every_stage() -> None:
    for stage in Stage:
        verify(sound().module, stage)


def test_use_before_definition() -> None:
    module = sound().module
    module.graph.operations.reverse()
    assert "`relu` reads a value that is not defined above it" in messages(module)


def test_an_operation_that_stands_twice() -> None:
    module = sound().module
    module.graph.operations.append(op(module, 2))
    assert "`relu` stands twice" in messages(module)


def test_an_output_from_nowhere() -> None:
    module = sound().module
    module.graph.outputs.append(Port("stray", Value(TensorType((1, 3)))))
    assert messages(module) == "output `stray` is a value that the graph does not define"


def test_users_that_do_not_read() -> None:
    module = sound().module
    op(module, 1).result.users.append(op(module, 1))
    assert messages(module) == "the users of the result of `dense` fc are not those that read it"


def test_one_use_of_two_is_forgotten() -> None:
    maker = GraphMaker()
    x = maker.input(4)
    maker.output(maker.builder.add(Add, operands={"left": x, "right": x}).result)
    verify(maker.module)
    x.users.pop()
    assert messages(maker.module) == "the users of an input are not those that read it"


def test_a_type_that_is_not_the_inferred_one() -> None:
    module = sound().module
    op(module, 2).result.type = TensorType((1, 5))
    assert messages(module) == "`relu` gives 3 f32, its result says 5 f32"


def test_a_type_that_no_longer_fits() -> None:
    module = sound().module
    op(module, 1).result.type = TensorType((1, 1, 3))
    op(module, 0).result.type = TensorType((5, 3))
    assert "has a filter for 5 features, the input has 4" in messages(module)


@pytest.mark.parametrize(
    ("type", "problem"),
    [
        (TensorType((1, 0)), "has a size of 0 ([1, 0])"),
        (TensorType(()), "has no dimensions; the first one is the batch"),
        (TensorType((1,) * 9), "has 9 dimensions, more than 8"),
        (TensorType((1, 2**31)), "has 2147483648 elements, more than 2147483647"),
        (TensorType((1, 2), ElementType.F32, Quantization((1.0,), (0,))), "cannot be quantized as f32"),
        (TensorType((1,), I8, Quantization((-1.0,), (0,))), "has a scale that is no positive float32 number"),
        (TensorType((1, 2), ElementType.U8, Quantization((1.0,), (-1,))), "has a zero point outside 0 to 255"),
        (TensorType((1, 2), I8, Quantization((1.0,), (0,), 1)), "needs 2 scales and zero points, got 1"),
        (TensorType((1, 2), I8, Quantization((1.0, 2.0), (0, 127), 1)), None),
        (TensorType((1, 2)), None),
    ],
)  # fmt: skip
def test_types_that_no_tensor_can_have(type: TensorType, problem: str | None) -> None:
    assert type_problem(type) == problem


def test_ports_without_name_of_one_name_and_of_one_value() -> None:
    maker = sound()
    first = maker.module.graph.inputs[0]
    maker.builder.input("", TensorType((1, 2)))
    maker.builder.input("image", TensorType((1, 2)))
    maker.module.graph.inputs.append(Port("again", first.value, {"name": "x"}))
    assert messages(maker.module) == (
        "2 inputs are called `image`; 1 inputs are called ``; "
        "input `again` has the attribute `name`, which is reserved; two inputs are the same value"
    )


def test_resources_of_another_shape_or_dtype() -> None:
    module = sound().module
    module.resources["fc.weight"] = np.zeros((4, 3), np.float64)
    assert messages(module) == "resource `fc.weight` is [4, 3] float64, not 3 f32"
    module.resources["fc.weight"] = np.zeros((3, 4), np.float32)
    assert messages(module) == "resource `fc.weight` is [3, 4] float32, not 3 f32"


def test_a_resource_of_two_types() -> None:
    maker = sound()
    maker.builder.constant("fc.weight", (2,))
    assert "resource `fc.weight` is 2 f32 here and 3 f32 elsewhere" in messages(maker.module)


def test_derived_arrays_out_of_order() -> None:
    module = sound().module
    module.derived["a"] = Derivation("f", ("b",), (TensorType((2,)),))
    module.derived["b"] = Derivation("f", (), ())
    assert messages(module) == "the array `a` is derived from `b`, which is derived later"


def test_two_layers_with_weights_of_one_name() -> None:
    maker = sound()
    w = maker.random_constant("other", 3, 3)
    relu = op(maker.module, 2).result
    maker.builder.add(Dense, Location("fc"), {"input": relu, "filter": w})
    assert messages(maker.module) == "two operations with weights are called `fc`"


def test_layers_without_weights_may_share_a_name() -> None:
    maker = sound()
    maker.output(maker.builder.add(Tanh, Location("fc"), {"input": op(maker.module, 2).result}).result, "other")
    verify(maker.module)


def test_arithmetic_on_integers() -> None:
    maker = GraphMaker()
    x = maker.builder.input("image", TensorType((1, 4), ElementType.U8)).value
    maker.output(maker.builder.add(Relu, operands={"input": x}).result)
    assert messages(maker.module) == "`relu` computes in float32, got ui8"


def test_folded_modules_have_no_batch_norm_and_nothing_dead() -> None:
    maker = GraphMaker()
    x = maker.input(4)
    statistics = {name: maker.random_constant(name, 4) for name in ("scale", "offset", "mean", "variance")}
    norm = maker.builder.add(BatchNorm, Location("norm"), {"input": x, **statistics})
    maker.output(norm.result)
    maker.builder.add(Relu, Location("dead"), {"input": x})
    verify(maker.module, Stage.BUILT)
    assert messages(maker.module, Stage.FOLDED) == (
        "`batch_norm` norm is left; the result of `relu` dead is never read"
    )


def test_the_error_names_stage_and_violations() -> None:
    module = sound().module
    module.graph.operations.reverse()
    with pytest.raises(VerificationError, match=r"rules of stage `built`: .* reads a value") as caught:
        verify(module)
    assert caught.value.stage is Stage.BUILT
