"""The IR's text: accepted by MLIR's own parser, and read back to an equal module."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mnetdsl.ir.core import Module
from mnetdsl.ir.equality import difference, equal
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops.unary import Clamp, Relu
from mnetdsl.ir.printer import location_text, print_module, type_text
from mnetdsl.ir.text.literals import BARE_NAME, float_text, quote, unquote
from mnetdsl.ir.text.reader import read_module
from mnetdsl.ir.types import ElementType, Quantization, TensorType
from mnetdsl.ir.verifier import verify
from mnetdsl.source import SourceFile
from tests.graphs import GraphMaker
from tests.ir.mlir import mlir_round_trip
from tests.ir.random_modules import modules

property_settings = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def read(text: str) -> Module:
    return read_module(SourceFile("test.mlir", text))


@property_settings
@given(modules())
def test_any_module_is_accepted_by_mlir_and_reads_back_equal(module: Module) -> None:
    verify(module)
    text = print_module(module)
    mlir_round_trip(text)
    copy = read(text)
    assert difference(module, copy) is None
    assert print_module(copy) == text


@property_settings
@given(modules(quantized=False))
def test_what_mlir_prints_of_a_module_reads_back_equal(module: Module) -> None:
    # Without quantized types: MLIR prints their scales with six digits only.
    assert difference(module, read(mlir_round_trip(print_module(module)))) is None


@given(st.text())
@example('"\\\n\t\0\x7f é 漢 \U0001f600')
def test_any_string_survives_quoting(text: str) -> None:
    literal = quote(text)
    assert literal.isascii()
    assert unquote(literal) == text


def test_a_file_name_that_is_not_utf8_survives_quoting() -> None:
    name = b"caf\xe9.mnet".decode("utf-8", "surrogateescape")
    assert quote(name) == '"caf\\E9.mnet"'
    assert unquote(quote(name)) == name


def test_floats_have_a_point_and_infinities_are_bits() -> None:
    assert float_text(1e-5) == "1.0e-05"
    assert float_text(2.0) == "2.0"
    assert float_text(-0.0) == "-0.0"
    assert float_text(float("inf")) == "0x7FF0000000000000"
    assert float_text(float("nan")) == "0x7FF8000000000000"


def test_quantized_types_are_those_of_the_quant_dialect() -> None:
    tensor = TensorType((1, 4, 4, 2), ElementType.I8, Quantization((0.5,), (-3,)))
    assert type_text(tensor) == "tensor<1x4x4x2x!quant.uniform<i8:f32, 0.5:-3>>"
    channels = TensorType((1, 2), ElementType.U8, Quantization((0.5, 0.25), (128, 127), 1))
    assert type_text(channels) == "tensor<1x2x!quant.uniform<u8:f32:1, {0.5:128, 0.25:127}>>"


def test_locations_say_what_is_known() -> None:
    assert location_text(Location()) == "loc(unknown)"
    assert location_text(Location("stem")) == 'loc("stem")'
    assert location_text(Location("", "net.mnet", 3, 4)) == 'loc("net.mnet":3:4)'
    assert location_text(Location("stem", "net.mnet", 3, 4)) == 'loc("stem"("net.mnet":3:4))'


def test_a_module_reads_as_the_documentation_shows_it() -> None:
    maker = GraphMaker("net")
    x = maker.input(8, 8, 3)
    w = maker.builder.constant("stem.weight", (3, 3, 3, 4), location=Location("stem.weight", "net.mnet", 5, 7))
    from mnetdsl.ir.ops.conv2d import Conv2d

    y = maker.builder.add(
        Conv2d, Location("stem", "net.mnet", 5, 7), {"input": x, "filter": w}, strides=(2, 2), padding=(0, 1, 0, 1)
    )
    maker.output(y.result)
    assert print_module(maker.module) == GOLDEN
    assert equal(read(GOLDEN), maker.module)


GOLDEN = """\
"builtin.module"() <{sym_name = "net"}> ({
  "func.func"() <{arg_attrs = [{mnet.name = "image"}], function_type = (tensor<1x8x8x3xf32>) -> (tensor<1x4x4x4xf32>), \
res_attrs = [{mnet.name = "result"}], sym_name = "main"}> ({
  ^bb0(%image: tensor<1x8x8x3xf32> loc(unknown)):
    %0 = "mnet.constant"() {element = "f32", resource = "stem.weight", shape = [3, 3, 3, 4]} : () -> \
tensor<3x3x3x4xf32> loc("stem.weight"("net.mnet":5:7))
    %1 = "mnet.conv2d"(%image, %0) {activation = "none", dilations = [1, 1], \
operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0>, padding = [0, 1, 0, 1], strides = [2, 2]} : \
(tensor<1x8x8x3xf32>, tensor<3x3x3x4xf32>) -> tensor<1x4x4x4xf32> loc("stem"("net.mnet":5:7))
    "func.return"(%1) : (tensor<1x4x4x4xf32>) -> () loc(unknown)
  }) : () -> () loc(unknown)
}) {mnet.ir = 1 : i64} : () -> () loc(unknown)
"""


def test_attributes_with_a_default_may_be_left_out() -> None:
    text = GOLDEN.replace('activation = "none", dilations = [1, 1], ', "")
    assert equal(read(text), read(GOLDEN))


def test_value_names_in_the_text_do_not_matter() -> None:
    assert equal(read(GOLDEN.replace("%image", "%x-1").replace("%0", "%weights")), read(GOLDEN))


def test_comments_and_layout_do_not_matter() -> None:
    assert equal(read("// first\n" + GOLDEN.replace("\n", "  // more\r\n")), read(GOLDEN))


def test_equality_sees_the_sign_of_zero_and_the_kind_of_number() -> None:
    def clamped(low: float) -> Module:
        maker = GraphMaker()
        op = maker.builder.add(Clamp, operands={"input": maker.input(4)}, low=low, high=1.0)
        return maker.output(op.result)

    assert equal(clamped(0.0), clamped(0.0))
    assert not equal(clamped(0.0), clamped(-0.0))


def test_equality_sees_names_locations_and_operands() -> None:
    def unary(location: Location, twice: bool = False) -> Module:
        maker = GraphMaker()
        x = maker.input(4)
        first = maker.builder.add(Relu, location, {"input": x})
        second = maker.builder.add(Relu, operands={"input": first.result if twice else x})
        return maker.output(second.result)

    assert difference(unary(Location("a")), unary(Location("b"))) == (
        "operation 0 (`relu` a) stands at Location(name='a', file='', line=0, column=0) and "
        "Location(name='b', file='', line=0, column=0)"
    )
    assert difference(unary(Location()), unary(Location(), twice=True)) == (
        "operation 1 (`relu` ) reads different values as input"
    )


def test_names_that_mlir_can_show_are_kept_for_the_eye() -> None:
    maker = GraphMaker()
    maker.builder.input("left eye", TensorType((1, 4)))
    maker.builder.input("left", TensorType((1, 4)))
    maker.builder.input("input", TensorType((1, 4)))
    text = print_module(maker.module)
    assert "^bb0(%input: tensor<1x4xf32> loc(unknown), %left: tensor<1x4xf32> loc(unknown), %input_1:" in text
    assert BARE_NAME.fullmatch("mnet.name")
