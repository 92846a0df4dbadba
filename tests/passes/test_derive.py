"""Derived arrays: their arithmetic, their order, and text that asks for what cannot be computed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Module, ShapeError
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.derivation import NUMBERS, SOURCE_ROLES, Derivation, numbers_derivation
from mnetdsl.ir.types import TensorType
from mnetdsl.passes.batch_norm_arithmetic import BATCH_NORM_FUNCTIONS
from mnetdsl.passes.derive import materialize
from tests.graphs import GraphMaker

RANDOM = np.random.default_rng(5)
EPSILON: dict[str, AttributeValue] = {"epsilon": 0.1}


def vectors(count: int, length: int) -> list[NDArray[np.float64]]:
    return [RANDOM.uniform(0.5, 1.5, length) for _ in range(count)]


def test_filters_of_each_kind_are_scaled_per_output_channel() -> None:
    scale, variance = vectors(2, 6)
    a = scale / np.sqrt(variance + 0.1)
    function = BATCH_NORM_FUNCTIONS["scale_outputs"]
    conv, depthwise = RANDOM.random((3, 3, 2, 6)), RANDOM.random((3, 3, 2, 3))
    scaled = function([conv, scale, variance], {**EPSILON, "channel_axes": 1})
    for o in range(6):
        np.testing.assert_allclose(scaled[..., o], conv[..., o] * a[o])
    scaled = function([depthwise, scale, variance], {**EPSILON, "channel_axes": 2})
    for c in range(2):
        for m in range(3):
            np.testing.assert_allclose(scaled[:, :, c, m], depthwise[:, :, c, m] * a[c * 3 + m])


@pytest.mark.parametrize("axes", [1, 2])
def test_the_offset_of_the_input_is_summed_over_the_window(axes: int) -> None:
    filter = RANDOM.random((2, 2, 3, 4))
    scale, variance, mean, offset = vectors(4, 3)
    shift = offset - mean * scale / np.sqrt(variance + 0.1)
    outputs = 4 if axes == 1 else 12
    bias = RANDOM.random(outputs)
    sources = [filter, scale, variance, mean, offset]
    function = BATCH_NORM_FUNCTIONS["offset_inputs"]
    found = function([*sources, bias], {**EPSILON, "channel_axes": axes})
    expected = bias.copy()
    for c in range(3):
        for o in range(4):
            expected[o if axes == 1 else c * 4 + o] += filter[:, :, c, o].sum() * shift[c]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(function(sources, {**EPSILON, "channel_axes": axes}), expected - bias)


def test_every_function_has_roles_for_its_sources() -> None:
    assert set(SOURCE_ROLES) == set(BATCH_NORM_FUNCTIONS)


@pytest.mark.parametrize("name", sorted(BATCH_NORM_FUNCTIONS))
@pytest.mark.parametrize(
    "shapes",
    [
        (),
        ((3,),),
        ((3,), (4,)),
        ((1000, 1), (1, 1000)),
        ((2, 3), (4,), (4,)),
        ((2, 2), (3,), (3,)),
        ((100_000, 1), (100_000,), (1,)),
        ((3,), (3,), (1,), (3,)),
        ((2, 3), (3,), (3,), (3,), (3,), (2, 2)),
        ((2, 3), (2,), (2,), (2,), (2,), (2, 2), (2,)),
    ],
)
def test_sources_that_do_not_fit_are_refused(name: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    sources = [np.ones(shape) for shape in shapes]
    with pytest.raises(ShapeError):
        BATCH_NORM_FUNCTIONS[name](sources, {**EPSILON, "channel_axes": 1, "shape": (1, 7)})


@pytest.mark.parametrize("name", sorted(BATCH_NORM_FUNCTIONS))
def test_attributes_that_are_missing_are_refused(name: str) -> None:
    filter = [np.ones((1, 3, 3))] if SOURCE_ROLES[name][0] == "filter" else []
    count = len([role for role in SOURCE_ROLES[name] if role not in ("filter", "bias")])
    with pytest.raises(ShapeError):
        BATCH_NORM_FUNCTIONS[name]([*filter, *[np.ones(3)] * count], {})


def module_with(*derivations: tuple[str, Derivation], **arrays: NDArray[np.float32]) -> Module:
    module = GraphMaker().module
    module.derived.update(derivations)
    module.resources.update(arrays)
    return module


def relu_of(source: str, size: int = 3) -> Derivation:
    return Derivation("mnet.relu", (source,), (TensorType((1, size)),), (1,))


def test_only_what_has_its_sources_is_computed() -> None:
    module = module_with(
        ("b", relu_of("a")), ("c", relu_of("b")), ("z", relu_of("y")), a=np.array([[-1, 0, 2]], np.float32)
    )
    materialize(module)
    assert sorted(module.resources) == ["a", "b", "c"]
    assert module.resources["c"].tolist() == [[0, 0, 2]]


def test_what_is_there_is_not_computed_again() -> None:
    kept = np.array([[7, 7, 7]], np.float32)
    module = module_with(("b", relu_of("a")), ("c", relu_of("b")), a=np.array([[-1, 0, 2]], np.float32), b=kept)
    materialize(module)
    assert module.resources["b"] is kept


@pytest.mark.parametrize(
    ("derivation", "why"),
    [
        (relu_of("a", 4), "it is [1, 3], and read as 4 f32"),
        (Derivation("mnet.rellu", ("a",), (TensorType((1, 3)),), (1,)), "is no operation with these operands"),
        (Derivation("mnet.constant", (), ()), "is no operation with these operands"),
        (Derivation("mnet.relu", ("a",), (TensorType((1, 3)),)), "is no operation with these operands"),
        (Derivation("mnet.relu", ("a",), (TensorType((1, 3)),), (2,)), "does not count 1 operands"),
        (Derivation("mnet.add", ("a", "a"), (TensorType((1, 3)),) * 2, (2, 0)), "needs operand"),
        (Derivation("mnet.clamp", ("a",), (TensorType((1, 3)),), (1,)), "needs attribute `low`"),
        (Derivation("mnet.softmax", ("a",), (TensorType((1, 3)),), (1,), (("axis", 1),)), "has no attribute"),
        (Derivation("scale_outputs", ("a",), (TensorType((1, 3)),)), "the shapes of its sources do not fit"),
        (Derivation("scale", ("a",), (TensorType((1, 3)),)), "there is no function `scale`"),
    ],
)
def test_text_that_asks_for_what_cannot_be_computed(derivation: Derivation, why: str) -> None:
    module = module_with(("b", derivation), a=np.zeros((1, 3), np.float32))
    with pytest.raises(MnetError) as caught:
        materialize(module)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, why in diagnostic.message) == ("MN1013", True), diagnostic


def test_an_array_that_is_not_what_its_constant_says() -> None:
    module = module_with(("b", relu_of("a")), a=np.zeros((1, 3), np.float32))
    maker = GraphMaker()
    maker.builder.constant("b", (3,))
    module.graph = maker.module.graph
    with pytest.raises(MnetError, match=r"it comes out as \[1, 3\], the constant is 3 f32"):
        materialize(module)


def test_required_arrays_are_those_of_constants_and_sources_that_nothing_derives() -> None:
    module = module_with(("b", relu_of("a")), ("c", relu_of("b")))
    maker = GraphMaker()
    maker.builder.constant("c", (1, 3))
    maker.builder.constant("w", (2,))
    module.graph = maker.module.graph
    assert module.required() == {"w": TensorType((2,)), "a": TensorType((1, 3))}


def test_numbers_of_the_text_fill_an_array() -> None:
    module = Module("net")
    module.derived["all"] = numbers_derivation((1, 1, 3), (0.1,))
    module.derived["each"] = numbers_derivation((1, 1, 3), (1.0, 2.0, 3.0))
    materialize(module)
    np.testing.assert_array_equal(module.resources["all"], np.array([[[0.1, 0.1, 0.1]]], np.float32))
    np.testing.assert_array_equal(module.resources["each"], np.array([[[1, 2, 3]]], np.float32))


@pytest.mark.parametrize(
    "attributes",
    [
        (("shape", (1, 3)), ("values", (1.0, 2.0))),
        (("shape", (1, 0)), ("values", (1.0,))),
        (("shape", ()), ("values", (1.0,))),
        (("shape", (1, 3)), ("values", ())),
        (("shape", (100000, 100000)), ("values", (1.0,))),
        (("shape", 3), ("values", (1.0,))),
        (("values", (1.0,)),),
    ],
)
def test_numbers_that_fill_no_array_are_refused(attributes: tuple[tuple[str, AttributeValue], ...]) -> None:
    module = Module("net")
    module.derived["numbers"] = Derivation(NUMBERS, (), (), attributes=attributes)
    with pytest.raises(MnetError) as caught:
        materialize(module)
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["MN1013"]
