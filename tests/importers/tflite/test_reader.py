"""Hostile, damaged and foreign files: each gets its diagnostic, none a traceback, none much time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from mnetdsl.diagnostics import MnetError
from mnetdsl.importers.tflite import import_bytes, import_tflite
from mnetdsl.importers.tflite import schema as packages
from mnetdsl.sema import check_text
from tests.importers.tflite.models import Maker, mobile, quantization, variety


def problem(data: bytes) -> MnetError:
    with pytest.raises(MnetError) as caught:
        import_bytes(data, "net.tflite")
    return caught.value


def code(data: bytes) -> str:
    return problem(data).diagnostics[0].code


def changed(change: Callable[[Maker], object], kind: str = "int8") -> bytes:
    maker = mobile(kind)
    change(maker)
    return maker.packed()


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 64, b"PK\3\4" * 20, b"\x08\0\0\0TFL3", b"\xff\xff\xff\x7fTFL3"])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    assert code(data) == "MN1702"


@pytest.mark.parametrize("kind", ["float32", "int8", "uint8"])
def test_every_truncation_is_refused_or_imported(kind: str) -> None:
    data = mobile(kind).packed()
    for end in range(0, len(data), max(1, len(data) // 60)):
        with pytest.raises(MnetError):
            import_bytes(data[:end], "net.tflite")


def test_an_offset_outside_the_file_is_refused() -> None:
    data = bytearray(mobile().packed())
    data[0:4] = (len(data) + 64).to_bytes(4, "little")
    assert code(bytes(data)) == "MN1702"


def test_operators_that_wait_for_each_other_are_refused() -> None:
    def circle(maker: Maker) -> None:
        first, second = maker.graph.operators[1], maker.graph.operators[2]
        first.inputs[0] = second.outputs[0]

    assert code(changed(circle)) == "MN1702"


def test_a_tensor_with_two_sources_is_refused() -> None:
    def twice(maker: Maker) -> None:
        maker.graph.operators[2].outputs = maker.graph.operators[1].outputs

    assert code(changed(twice)) == "MN1702"


@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_layers_whose_reader_does_not_need_them_are_left_out_and_counted(kind: str) -> None:
    maker = variety(kind)
    (product,) = (entry for entry in maker.model.operatorCodes if entry.builtinCode == schema.BuiltinOperator.MUL)
    product.builtinCode = schema.BuiltinOperator.RELU  # of the features alone, without their gate
    imported = import_bytes(maker.packed(), "net.tflite")
    assert "4 layers are not needed for any output: left out" in imported.notes
    assert "sigmoid" not in imported.files["net.mnet"].decode()
    assert check_text(imported.files["net.mnet"].decode()) == ()


def test_numbers_of_tensors_that_do_not_exist_are_refused() -> None:
    def outside(maker: Maker) -> None:
        maker.graph.operators[1].inputs[0] = 5000

    assert code(changed(outside)) == "MN1702"


@pytest.mark.parametrize("shape", [[-1, 8, 8, 8], [1, 2**30, 2**30, 8], [1] * 40, [1, 0, 8, 8]])
def test_absurd_shapes_are_refused_at_once(shape: list[int]) -> None:
    def reshape(maker: Maker) -> None:
        maker.graph.tensors[maker.graph.operators[0].outputs[0]].shape = shape

    begin = time.monotonic()
    assert code(changed(reshape)) in ("MN1702", "MN1704", "MN1705")
    assert time.monotonic() - begin < 2


def test_data_that_does_not_fill_its_shape_is_refused() -> None:
    def cut(maker: Maker) -> None:
        maker.model.buffers[1].data = maker.model.buffers[1].data[:-1]

    assert code(changed(cut)) == "MN1702"


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_names_its_tensor(scale: float) -> None:
    def damage(maker: Maker) -> None:
        number = maker.graph.operators[2].outputs[0]
        maker.graph.tensors[number].quantization = quantization([scale], [0])
        maker.graph.tensors[number].name = b"the_one"

    found = problem(changed(damage))
    assert found.diagnostics[0].code == "MN1703"
    assert "the_one" in found.diagnostics[0].message


def test_a_zero_point_that_the_type_cannot_store_is_refused() -> None:
    def damage(maker: Maker) -> None:
        maker.graph.tensors[maker.graph.operators[2].outputs[0]].quantization = quantization([0.1], [300])

    assert code(changed(damage)) == "MN1703"


def test_scales_that_do_not_fit_the_channels_are_refused() -> None:
    def damage(maker: Maker) -> None:
        weights = maker.graph.tensors[maker.graph.operators[0].inputs[1]]
        weights.quantization = quantization([0.1] * 5, [0] * 5)

    assert code(changed(damage)) == "MN1703"


def test_the_dimension_of_scales_on_a_bias_is_not_believed() -> None:
    """Converters have written the filter's dimension, 3, on biases of rank 1."""

    def damage(maker: Maker) -> None:
        maker.graph.tensors[maker.graph.operators[1].inputs[2]].quantization.quantizedDimension = 3

    assert import_bytes(changed(damage), "net.tflite").matched > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_float_weights_that_are_not_finite_are_refused(value: float) -> None:
    maker = Maker()
    source = maker.input()
    weights = np.zeros((4, 1, 1, 3), np.float32)
    weights[1] = value
    options = schema.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    result = maker.result([1, 8, 8, 4])
    maker.op("CONV_2D", [source, maker.constant(weights)], [result], options)
    assert code(maker.done(result)) == "MN0706"


def test_a_batch_of_images_is_refused() -> None:
    maker = Maker()
    assert code(maker.done(maker.unary("RELU", maker.input((2, 8, 8, 3))))) == "MN1705"


def test_a_network_with_memory_is_refused() -> None:
    def remember(maker: Maker) -> None:
        maker.graph.tensors[3].isVariable = True

    assert code(changed(remember)) == "MN1705"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = mobile().packed()
    monkeypatch.setattr(packages, "_schema", lambda: None)
    found = problem(data).diagnostics[0]
    assert found.code == "MN1701"
    assert ".[tflite]" in " ".join(found.help)


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    for path, expected in ((tmp_path, "MN0904"), (tmp_path / "no.tflite", "MN0901")):
        with pytest.raises(MnetError) as caught:
            import_tflite(path)
        assert caught.value.diagnostics[0].code == expected
