"""A table of numbers turns the float graph into the graph on stored integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mnetdsl
from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Module
from mnetdsl.ir.equality import difference
from mnetdsl.ir.printer import print_module
from mnetdsl.ir.text.reader import read_module
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.ir.verifier import verify
from mnetdsl.quantize.apply import apply_quantization, quantizable, tensor_names
from mnetdsl.sema.quantization import QuantizedTensor
from mnetdsl.source import SourceFile
from mnetdsl.weights.expected import expected_weights

NET = """mnet 1

use std.blocks {{ conv_bn, inverted_residual }}

model net() {{
  input image: u8[16, 16, 3] {{ mean = 128, std = 128 }}
  x = conv_bn(image, 8, kernel = 3, stride = 2, act = relu6) as stem
  x = inverted_residual(x, 8, expansion = 2) as middle
  x = hard_swish(x) as swish
  x = global_avg_pool(x) as mean
  output logits = dense(x, 10) as classifier
}}

deploy small of net() {{
  table quantization {{
    tensor            type  scale  zero_point{columns}
{rows}
  }}
}}
"""
CHANCES = """x = dense(x, 10) as classifier
  output logits = softmax(x) as chances"""
NAMES = (
    "image",
    "stem.conv",
    "middle.expand.conv",
    "middle.depthwise.conv",
    "middle.project.conv",
    "middle.add",
    "swish",
    "mean",
    "classifier",
)


def written(tmp_path: Path, rows: dict[str, str], columns: str = "") -> Path:
    path = tmp_path / "net.mnet"
    path.write_text(NET.format(rows="\n".join(f'    "{name}" {row}' for name, row in rows.items()), columns=columns))
    return path


def module_with(tmp_path: Path, **changed: str) -> Module:
    rows = dict.fromkeys(NAMES, "i8 0.05 -3") | {name.replace("__", "."): row for name, row in changed.items()}
    return mnetdsl.load(written(tmp_path, rows)).module


def test_every_layer_is_stored_as_its_row_says(tmp_path: Path) -> None:
    module = module_with(tmp_path, swish="i16 0.001 0")
    types = {op.name: op.type for op in module.graph.operations if op.type.quantization is not None}
    half = Storage(ElementType.I8, Quantization.per_tensor(0.05000000074505806, -3))
    assert set(types) == {*NAMES[1:], "image.quantize"}
    assert types["middle.add"].storage == half
    assert types["swish"].storage.element is ElementType.I16


def test_clamps_belong_to_their_layer_and_other_functions_are_layers(tmp_path: Path) -> None:
    module = module_with(tmp_path)
    kinds = {op.name: (op.opcode, op.attributes.get("activation")) for op in module.graph.operations}
    assert kinds["stem.conv"] == ("conv2d", "relu6")
    assert kinds["swish"] == ("hard_swish", None)


def test_the_weight_file_holds_integers_and_a_scale_for_each_output_channel(tmp_path: Path) -> None:
    expected = expected_weights(module_with(tmp_path))
    types = {name: str(item.type.element.value) + str(list(item.type.shape)) for name, item in expected.items()}
    assert types["stem.conv.weight"] == "i8[3, 3, 3, 8]"
    assert types["stem.conv.bias"] == "i32[8]"
    assert types["stem.conv.weight_scale"] == "f32[8]"
    assert types["middle.depthwise.conv.weight"] == "i8[3, 3, 16, 1]"
    assert types["middle.depthwise.conv.weight_scale"] == "f32[16]"
    assert not any("norm" in name or "zero_point" in name for name in types)


def test_legacy_filters_are_unsigned_with_one_scale_and_zero_point(tmp_path: Path) -> None:
    rows = dict.fromkeys(NAMES, "u8 0.05 128")
    expected = expected_weights(mnetdsl.load(written(tmp_path, rows)).module)
    assert expected["stem.conv.weight"].type.element is ElementType.U8
    assert expected["stem.conv.weight_scale"].type.shape == (1,)
    assert expected["stem.conv.weight_zero_point"].type.shape == (1,)


def test_sixteen_bit_inputs_have_wide_biases(tmp_path: Path) -> None:
    expected = expected_weights(module_with(tmp_path, mean="i16 0.001 0"))
    assert expected["classifier.bias"].type.element is ElementType.I64
    assert expected["classifier.weight"].type.element is ElementType.I8


def test_a_layer_may_compute_in_float_between_quantized_ones(tmp_path: Path) -> None:
    rows = dict.fromkeys(NAMES, "i8 0.05 -3 integer") | {"middle.project.conv": "i8 0.05 -3 f32"}
    module = mnetdsl.load(written(tmp_path, rows, "  compute")).module
    layers = {op.name: op for op in module.graph.operations}
    assert layers["middle.project.conv"].type.quantization is None
    assert layers["middle.project.conv"].operands[0].producer is layers["middle.depthwise.conv.dequantize"]
    assert layers["middle.project.conv.quantize"].result in layers["middle.add"].operands
    assert expected_weights(module)["middle.project.conv.weight"].type.element is ElementType.F32


@pytest.mark.parametrize(("row", "opcode"), [("u8 0.05 125", "requantize"), ("f32 1.0 0", "dequantize")])
def test_an_output_may_be_given_in_other_numbers(tmp_path: Path, row: str, opcode: str) -> None:
    rows = dict.fromkeys(NAMES, "i8 0.05 -3") | {"output logits": row}
    (port,) = mnetdsl.load(written(tmp_path, rows)).module.graph.outputs
    assert port.value.producer is not None
    assert port.value.producer.opcode == opcode


def test_the_quantized_module_is_valid_text_too(tmp_path: Path) -> None:
    module = module_with(tmp_path)
    verify(module)
    assert difference(read_module(SourceFile("net.mlir", print_module(module))), module) is None


def test_the_rows_that_are_needed_are_those_of_the_table(tmp_path: Path) -> None:
    zoo = mnetdsl.load("mobilenet_v2", alpha=0.35, resolution=96)
    names = tensor_names(quantizable(zoo.module))
    half = Storage(ElementType.I8, Quantization.per_tensor(0.5, 0))
    module = apply_quantization(zoo.module, [QuantizedTensor(name, half) for name in names])
    assert all(op.type.quantization for op in module.graph.operations if op.opcode not in ("constant", "normalize"))
    assert names[:3] == ["image", "stem.conv", "body.0.depthwise.conv"]


@pytest.mark.parametrize(
    ("name", "code"), [("classifier", "MN1803"), ("middle.project.norm", "MN1802"), ("output scores", "MN1802")]
)
def test_missing_and_surplus_rows_are_told(tmp_path: Path, name: str, code: str) -> None:
    rows = dict.fromkeys(NAMES, "i8 0.05 -3")
    if rows.pop(name, None) is None:
        rows[name] = "i8 0.05 -3"
    with pytest.raises(MnetError) as problem:
        mnetdsl.load(written(tmp_path, rows))
    assert [diagnostic.code for diagnostic in problem.value.diagnostics] == [code]
    assert f"`{name}`" in problem.value.diagnostics[0].message


@pytest.mark.parametrize(
    "row",
    [
        *("i8 0.0 0", "i8 -1.0 0", "i8 0.05 128", "u8 0.05 -1", "i16 0.05 3", "i4 0.05 0", "f32 1.0 0", "i8 1e-60 0"),
        *("i8 1e300 0", 'i8 "a" 0', "i8 0.05 0.5"),
    ],
)
def test_malformed_rows_are_told_where_they_stand(tmp_path: Path, row: str) -> None:
    (problem,) = mnetdsl.check(written(tmp_path, dict.fromkeys(NAMES, "i8 0.05 -3") | {"swish": row}))
    assert problem.code == "MN1801"
    assert problem.primary is not None
    assert problem.primary.span.file.position(problem.primary.span.start)[0] == 17 + NAMES.index("swish")


def test_operands_of_8_bits_beside_one_of_16_are_widened_exactly(tmp_path: Path) -> None:
    """What adds and multiplies reads one width: less its zero point, an 8-bit number is one of 16 bits."""
    path = tmp_path / "net.mnet"
    rows = [
        f'    "{name}"  {"i16" if name == "stem.conv" else "i8"}  0.05  {0 if name == "stem.conv" else 3}'
        for name in NAMES
    ]
    path.write_text(NET.format(columns="", rows="\n".join(rows)))
    module = mnetdsl.load(path, model="small").module
    (total,) = (op for op in module.graph.operations if op.name == "middle.add")
    assert {value.type.element for value in total.operands} == {ElementType.I16}
    (widened,) = (op for op in module.graph.operations if op.name in ("middle.add.left", "middle.add.right"))
    assert widened.opcode == "requantize"
    assert widened.type.quantization == Quantization.per_tensor(float(np.float32(0.05)), 0)


@pytest.mark.parametrize(("before", "after"), [("i16 0.001 0", "i8 0.00390625 -128"), ("i8 0.05 -3", "i16 0.0001 0")])
def test_a_softmax_of_sixteen_bits_is_refused_but_in_float(tmp_path: Path, before: str, after: str) -> None:
    rows = dict.fromkeys(NAMES, "i8 0.05 -3 integer") | {"classifier": f"{before} integer"}
    text = written(tmp_path, rows | {"chances": f"{after} integer"}, "  compute").read_text()
    path = tmp_path / "softmax.mnet"
    path.write_text(text.replace("output logits = dense(x, 10) as classifier", CHANCES))
    with pytest.raises(MnetError) as caught:
        _ = mnetdsl.load(path).module
    assert [found.code for found in caught.value.diagnostics] == ["MN1805"]
    path.write_text(path.read_text().replace(f"{after} integer", f"{after} f32"))
    assert mnetdsl.load(path).module.graph.outputs
