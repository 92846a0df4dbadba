"""What is written: blocks found, tables folded, names from the structure alone, and the same network as in the file."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from mnetdsl.diagnostics import MnetError
from mnetdsl.importers.graph_files import own_name
from mnetdsl.importers.result import Imported
from mnetdsl.importers.tflite import import_bytes
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.syntax.formatter import format_source
from mnetdsl.weights import safetensors
from tests.importers.tflite.models import Maker, input_numbers, mobile, variety

KINDS = ("float32", "int8", "uint8")


def imported(data: bytes, **options: Any) -> Imported:
    return import_bytes(data, "net.tflite", **options)


def text(data: bytes, **options: tuple[float, ...]) -> str:
    return imported(data, **options).files["net.mnet"].decode()


def layer_names(written: str) -> list[str]:
    module = build(SourceFile("net.mnet", written)).module
    return [op.name for op in module.graph.operations if op.opcode != "constant"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [mobile, variety])
def test_text_is_in_the_one_layout_and_builds(make: Callable[[str], Maker], kind: str) -> None:
    written = text(make(kind).packed())
    assert format_source(SourceFile("net.mnet", written)) == written
    assert build(SourceFile("net.mnet", written)).module.graph.outputs


def test_inverted_residuals_become_one_block_and_a_table() -> None:
    written = text(mobile().packed())
    assert (
        """  table body {
    expansion  channels  stride  repeat
            1         8       1       1
            6        12       2       2
  }
"""
        in written
    )
    assert written.count("block ") == 1
    assert "if stride == 1 and y.shape == x.shape {" in written


def test_equal_rows_are_one_row_with_a_count() -> None:
    maker = Maker()
    x = maker.conv(maker.input((1, 32, 32, 3)), 8, 3, 2, act=3)
    for channels, stride in ((16, 1), (32, 2), (32, 1), (32, 1), (64, 2)):
        x = maker.conv(maker.depthwise(x, stride=stride, act=3), channels, act=3)
    written = text(maker.done(x))
    assert (
        """    channels  stride  repeat
          16       1       1
          32       2       3
          64       2       1
"""
        in written
    )
    assert "stride = row.stride if row.first else 1" in written


def test_names_say_what_a_layer_is() -> None:
    names = layer_names(text(mobile().packed()))
    assert {"stem", "body.1.expand", "body.1.depthwise", "body.1.project", "head", "classifier"} <= set(names)


def test_neither_names_nor_numbers_of_tensors_change_the_text() -> None:
    maker = mobile("int8")
    first = text(maker.packed())
    random = Random(7)
    graph = maker.graph
    order = list(range(len(graph.tensors)))
    random.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    graph.tensors = [graph.tensors[old] for old in order]
    for number, tensor in enumerate(graph.tensors):
        tensor.name = f"renamed/{number}".encode()
    for operator in graph.operators:
        operator.inputs = [place[number] for number in operator.inputs]
        operator.outputs = [place[number] for number in operator.outputs]
    graph.inputs = [place[number] for number in graph.inputs]
    graph.outputs = [place[number] for number in graph.outputs]
    random.shuffle(graph.operators)
    assert text(maker.packed()) == first


def test_a_gate_of_channels_is_a_block_of_its_own() -> None:
    maker = Maker()
    x = maker.conv(maker.input((1, 16, 16, 3)), 8, 3, 2, act=1)
    for _ in range(2):
        y = maker.depthwise(maker.conv(x, 24, act=1), act=1)
        gate = maker.unary("LOGISTIC", maker.conv(maker.conv(maker.mean(y, keep=True), 6, act=1), 24))
        x = maker.add(x, maker.conv(maker.add(y, gate, code="MUL"), 8))
    written = text(maker.done(x))
    assert "block squeeze_excite(x: tensor, reduced: int) {" in written
    assert "y = squeeze_excite(y, 6) as squeeze" in written
    assert "body.1.squeeze.reduce" in layer_names(written)


def test_a_pad_in_front_of_a_convolution_is_its_padding() -> None:
    maker = Maker()
    padded = maker.pad(maker.input((1, 16, 16, 3)), 0, 1, 0, 1)
    written = text(maker.done(maker.conv(padded, 8, 3, 2, padding=1)))
    assert "pad" not in written  # [0, 1, 0, 1] is what `same` means for an even size
    other = Maker()
    padded = other.pad(other.input((1, 16, 16, 3)), 1, 1, 1, 1)
    assert "padding = [1, 1, 1, 1]" in text(other.done(other.conv(padded, 8, 3, 2, padding=1)))


def test_a_pad_that_others_read_stays() -> None:
    maker = Maker()
    padded = maker.pad(maker.input((1, 16, 16, 3)), 1, 1, 1, 1)
    written = text(maker.done(maker.conv(padded, 8, 3, padding=1), maker.unary("RELU", padded)))
    assert "pad(image, [1, 1, 1, 1])" in written


def test_float_networks_get_their_hard_swish_back() -> None:
    maker = Maker()
    x = maker.conv(maker.input(), 8)
    three, sixth = (maker.constant(np.array(value, np.float32)) for value in (3.0, 1 / 6))
    gate = maker.add(maker.add(x, three, act=3), sixth, code="MUL")
    written = text(maker.done(maker.add(x, gate, code="MUL")))
    assert "hard_swish(" in written
    assert "+" not in written


def test_a_range_that_ends_at_six_is_relu6_in_uint8_networks() -> None:
    maker = Maker("uint8")
    source = maker.input((1, 16, 16, 3), input_numbers("uint8"))
    six = maker.conv(source, 8, numbers=(0.0235285, 0))
    zero = maker.conv(six, 8, numbers=(0.01, 0))
    both = maker.conv(zero, 8, numbers=(0.05, 120))
    written = text(maker.done(both))
    assert written.count("relu6(") == 1
    assert written.count("relu(") == 1


@pytest.mark.parametrize(("kind", "mean", "std"), [("int8", "128.0", "128.0"), ("uint8", "128.0", "128.0")])
def test_pixels_follow_from_the_numbers_of_the_input(kind: str, mean: str, std: str) -> None:
    assert f"mean = {mean}, std = {std}" in text(mobile(kind).packed())


def test_a_float_image_is_assumed_to_lie_around_zero_and_that_is_said() -> None:
    found = imported(mobile().packed())
    assert "mean = 127.5, std = 127.5" in found.files["net.mnet"].decode()
    assert any("assumption" in note for note in found.notes)
    given = imported(mobile().packed(), mean=(0.0,), std=(255.0,))
    assert "mean = 0.0, std = 255.0" in given.files["net.mnet"].decode()
    assert not any("assumption" in note for note in given.notes)


def test_pixels_that_the_file_says_by_its_scale_are_not_overruled_in_silence() -> None:
    found = imported(mobile("int8").packed(), mean=(1.0,))
    assert "mean = 128.0, std = 128.0" in found.files["net.mnet"].decode()
    assert any("--mean and --std mean nothing here" in note for note in found.notes)


def test_a_wrong_count_of_means_is_refused() -> None:
    with pytest.raises(MnetError) as caught:
        imported(mobile().packed(), mean=(1.0, 2.0))
    assert caught.value.diagnostics[0].code == "MN0605"


def test_quantization_at_both_ends_is_the_ports() -> None:
    maker = Maker("int8")
    given = maker.input((1, 8, 8, 3), (1 / 128, 128), "uint8")
    stored = maker.tensor((1, 8, 8, 3), numbers=(1 / 128, 0))
    maker.op("QUANTIZE", [given], [stored], schema.QuantizeOptionsT())
    x = maker.dense(maker.mean(maker.conv(stored, 8)), 4)
    last = maker.tensor((1, 4), "uint8", (0.05, 125))
    maker.op("QUANTIZE", [x], [last], schema.QuantizeOptionsT())
    written = text(maker.done(last))
    assert '"image"' in written
    row = next(line for line in written.splitlines() if '"output logits"' in line)
    assert row.split() == ['"output', 'logits"', "u8", "0.05", "125"]


def test_weights_lie_as_the_language_has_them() -> None:
    maker = Maker("int8")
    x = maker.conv(maker.input((1, 8, 8, 3), input_numbers("int8")), 5, 3)
    x = maker.depthwise(x, multiplier=2)
    found = imported(maker.done(maker.dense(maker.mean(x), 4)))
    entries = safetensors.read_entries(found.files["net.safetensors"], "net.safetensors")
    shapes = {name: entry.shape for name, entry in entries.items()}
    assert shapes["stem.weight"] == (3, 3, 3, 5)
    assert shapes["depthwise_1.weight"] == (3, 3, 5, 2)
    assert shapes["classifier.weight"] == (10, 4)
    assert shapes["stem.weight_scale"] == (5,)
    assert shapes["depthwise_1.weight_scale"] == (10,)


def test_half_precision_weights_are_weights() -> None:
    maker = Maker()
    source = maker.input()
    half = maker.constant(np.arange(12, dtype=np.float16).reshape(4, 1, 1, 3))
    wide = maker.tensor((4, 1, 1, 3))
    maker.op("DEQUANTIZE", [half], [wide])
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    result = maker.result((1, 8, 8, 4))
    maker.op("CONV_2D", [source, wide], [result], options)
    found = imported(maker.done(result))
    assert "bias = false" in found.files["net.mnet"].decode()
    assert any("float16" in note for note in found.notes)
    (entry,) = safetensors.read_entries(found.files["net.safetensors"], "net.safetensors").values()
    assert entry.shape == (1, 1, 3, 4)


def test_an_operator_that_is_not_supported_is_named_with_its_place_and_shapes() -> None:
    maker = Maker()
    x = maker.conv(maker.input(), 4)
    result = maker.result((1, 16, 16, 4))
    maker.op("TRANSPOSE_CONV", [maker.constant(np.array([1, 16, 16, 4], np.int32)), x], [result])
    with pytest.raises(MnetError) as caught:
        imported(maker.done(maker.unary("LEAKY_RELU", result)))
    first, second = caught.value.diagnostics
    assert first.code == second.code == "MN1704"
    assert "operator 1 (TRANSPOSE_CONV)" in first.message
    assert "1x16x16x4 float32" in " ".join(first.notes)
    assert "RESIZE_BILINEAR" in " ".join(first.help)
    assert "operator 2 (LEAKY_RELU)" in second.message


def test_a_detector_is_imported_up_to_the_decoding_of_its_boxes() -> None:
    maker = Maker()
    x = maker.conv(maker.input(), 8, 3, 2)
    results = []
    for channels, sizes in ((4, [1, 16, 4]), (3, [1, 16, 3])):
        flat = maker.result(sizes)
        made = maker.conv(x, channels)
        shape = maker.constant(np.array(sizes, np.int32))
        maker.op("RESHAPE", [made, shape], [flat], schema.ReshapeOptionsT())
        results.append(flat)
    ends = [maker.tensor((1, 10, 4)), maker.tensor((1, 10)), maker.tensor((1, 10)), maker.tensor((1,))]
    anchors = maker.constant(np.zeros((16, 4), np.float32))
    maker.op("CUSTOM", [*results, anchors], ends, custom="TFLite_Detection_PostProcess")
    found = imported(maker.done(*ends))
    written = found.files["net.mnet"].decode()
    assert "output boxes = " in written
    assert "output scores = " in written
    assert any("TFLite_Detection_PostProcess" in note for note in found.notes)


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/vww_96_int8.tflite", "vww_96_int8"), ("mobilenet_v2_1.0.tflite", "mobilenet_v2_1_0"), ("1.tflite", "net_1")],
)
def test_a_network_is_called_like_its_file(path: str, name: str) -> None:
    assert own_name(path) == name
    assert own_name("model.tflite") == "model_net"


def test_a_clamp_that_stores_its_result_anew_is_refused() -> None:
    maker = Maker("int8")
    x = maker.conv(maker.input((1, 8, 8, 3), input_numbers("int8")), 8, numbers=(0.1, 3))
    x = maker.unary("RELU6", x, (0.0235, -128))
    with pytest.raises(MnetError) as caught:
        imported(maker.done(maker.dense(maker.mean(x), 4)))
    assert "operator 1 (RELU6)" in caught.value.diagnostics[0].message


def test_a_clamp_that_is_stored_alike_is_the_layers_own() -> None:
    maker = Maker("int8")
    x = maker.conv(maker.input((1, 8, 8, 3), input_numbers("int8")), 8, numbers=(0.1, 3))
    x = maker.unary("RELU", x, (0.1, 3))
    written = text(maker.done(maker.dense(maker.mean(x), 4)))
    assert "x = relu(x)" in written
    assert '"relu"' not in written


def channels_first() -> Maker:
    maker = Maker()
    given = maker.input((1, 3, 8, 16))
    turned = maker.result((1, 8, 16, 3))
    order = maker.constant(np.array([0, 2, 3, 1], np.int32))
    maker.op("TRANSPOSE", [given, order], [turned], schema.TransposeOptionsT())
    maker.graph.outputs = [maker.dense(maker.mean(maker.conv(turned, 8, 3)), 4)]
    return maker


def test_an_image_with_channels_first_is_declared_as_people_hold_images() -> None:
    written = text(channels_first().packed())
    assert "input image: u8[8, 16, 3]" in written
    assert "transpose" not in written


def test_numbers_beside_a_tensor_stand_in_the_text() -> None:
    maker = Maker()
    shifted = maker.constant(np.array([1.5, 2.0, -3.25], np.float32))
    halved = maker.constant(np.array(0.5, np.float32))
    x = maker.add(maker.add(maker.input(), shifted, code="SUB"), halved, code="MUL")
    written = text(maker.done(maker.conv(x, 4)))
    assert "x = image - [1.5, 2.0, -3.25]" in written
    assert "x = x * 0.5" in written


def test_a_constant_map_is_no_number() -> None:
    maker = Maker()
    constant = maker.constant(np.zeros((1, 8, 8, 3), np.float32))
    with pytest.raises(MnetError) as caught:
        imported(maker.done(maker.add(maker.input(), constant)))
    assert "1x8x8x3" in caught.value.diagnostics[0].message
