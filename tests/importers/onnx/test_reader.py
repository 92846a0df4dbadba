"""Files that are no ONNX model, contradict themselves, or ask for more than a network may: diagnostics alone."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mnetdsl.cli.main import main
from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.importers.onnx import import_bytes, import_onnx
from tests.importers.onnx.networks import Net, mobile


def problem(data: bytes, **arguments: Any) -> Diagnostic:
    with pytest.raises(MnetError) as refused:
        import_bytes(data, "net.onnx", **arguments)
    return refused.value.diagnostics[0]


def changed(change: Callable[[Any], object], net: Net | None = None) -> Diagnostic:
    """What is said of a network whose model `change` has damaged."""
    model = (net or mobile()).model()
    change(model)
    return problem(model.SerializeToString())


def with_node(kind: str, **attributes: Any) -> Diagnostic:
    net = Net()
    x = net.conv("input", 3, 4)
    net.output(net.node(kind, x, **attributes))
    return problem(net.packed())


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"not a model", b"version https://git-lfs.github.com/spec/v1\n", bytes(range(256)) * 4]
)
def test_what_is_no_model(data: bytes) -> None:
    assert problem(data).code == "MN1707"


def test_the_words_of_a_library_are_not_shown() -> None:
    found = problem(b"\x00" * 10_000)
    assert found.message.endswith("its encoding is not that of protocol buffers, or is broken")


def test_every_cut_of_a_file() -> None:
    data = mobile("Clip").packed()
    for end in range(0, len(data), max(1, len(data) // 60)):
        assert problem(data[:end]).code in ("MN1707", "MN1705", "MN1704"), end


def test_many_empty_messages_are_counted_before_they_are_made() -> None:
    inside = b"\x0a\x00" * 1_100_000
    found = problem(b"\x3a" + _varint(len(inside)) + inside)
    assert found.code == "MN1707"
    assert "entries" in found.message


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def test_operators_that_wait_for_each_other() -> None:
    found = changed(lambda model: model.graph.node[0].input.__setitem__(0, model.graph.node[4].output[0]))
    assert found.code == "MN1707"
    assert "before it" in found.message


def test_a_tensor_with_two_sources() -> None:
    found = changed(lambda model: model.graph.node[3].output.__setitem__(0, model.graph.node[0].output[0]))
    assert "two sources" in found.message


@pytest.mark.parametrize("size", [-1, 0, 2**40, 2**62])
def test_weights_of_sizes_that_cannot_be(size: int) -> None:
    assert changed(lambda model: model.graph.initializer[0].dims.__setitem__(0, size)).code in ("MN1707", "MN1704")


@pytest.mark.parametrize("size", [-3, 2**40])
def test_inputs_of_sizes_that_cannot_be(size: int) -> None:
    def change(model: Any) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = size

    assert changed(change).code in ("MN1707", "MN0503", "MN0506")


@pytest.mark.parametrize("attribute", ["strides", "pads", "dilations", "group"])
@pytest.mark.parametrize("value", [0, -1, 2**31, 2**62])
def test_windows_that_cannot_be(attribute: str, value: int) -> None:
    count = {"group": 0, "pads": 4}.get(attribute, 2)
    net = Net()
    numbers: Any = value if count == 0 else [value] * count
    net.output(net.node("Conv", "input", net.noise(4, 3, 3, 3), **{attribute: numbers}))
    if value == 0 and attribute == "pads":
        return
    assert problem(net.packed()).code in ("MN1704", "MN1707", "MN0503", "MN0506")


def test_a_free_size_and_several_images() -> None:
    def free(model: Any) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"

    def several(model: Any) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 8

    assert changed(free).code == changed(several).code == "MN1705"
    assert "input" in changed(free).message


def test_a_free_batch_is_one_image() -> None:
    model = mobile().model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    assert import_bytes(model.SerializeToString(), "net.onnx").matched


def test_operators_are_named_with_what_could_be_done() -> None:
    found = with_node("LeakyRelu", alpha=0.1)
    assert found.code == "MN1704"
    assert "operator 1 (LeakyRelu)" in found.message
    assert "4x16x16" in str(found.notes)
    assert "relu6" in str(found.help)
    assert "QDQ" in str(with_node("QLinearConv").help)


def test_a_graph_inside_an_operator_is_not_entered() -> None:
    branch = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "branch", [], [])
    assert with_node("If", then_branch=branch, else_branch=branch).code == "MN1704"


@pytest.mark.parametrize("opset", [1, 6, 99])
def test_versions_that_are_not_read(opset: int) -> None:
    assert changed(lambda model: setattr(model.opset_import[0], "version", opset)).code == "MN1705"


def test_weights_that_are_not_numbers() -> None:
    net = Net()
    net.output(net.node("Conv", "input", net.array(np.full((4, 3, 1, 1), np.nan))))
    assert problem(net.packed()).code == "MN0706"


# Weights in other files


def outside(folder: Path, location: str, **entries: str) -> Path:
    """A model in `folder` whose first weight lies at `location`."""
    model = mobile().model()
    tensor = model.graph.initializer[0]
    data = numpy_helper.to_array(tensor).tobytes()
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "length": str(len(data)), **entries}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    (folder / "beside.data").write_bytes(b"\0" * 16 + data)
    return folder / "net.onnx"


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    path = outside(tmp_path, "beside.data", offset="16")
    assert (
        import_onnx(path).files["net.safetensors"]
        == import_bytes(mobile().packed(), "net.onnx").files["net.safetensors"]
    )
    assert problem(path.read_bytes()).code == "MN1708"


@pytest.mark.parametrize(
    "location",
    ["", "../secret.data", "/etc/hostname", "a/../../secret.data", "C:\\secret", "..\\secret", "link", ".", "nul\0"],
)
def test_weights_elsewhere_are_not_read(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret.data").write_bytes(b"\0" * 4096)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret.data")
    path = outside(folder, location)
    with pytest.raises(MnetError) as refused:
        import_onnx(path)
    assert refused.value.diagnostics[0].code == "MN1708"


@pytest.mark.parametrize(
    "entries", [{"offset": "20"}, {"offset": "-1"}, {"length": "4"}, {"offset": "x"}, {"offset": "9" * 15}]
)
def test_weights_beside_the_file_that_do_not_fill_their_shape(entries: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(MnetError) as refused:
        import_onnx(outside(tmp_path, "beside.data", **entries))
    assert refused.value.diagnostics[0].code == "MN1707"


# The command


def test_the_command_imports_and_refuses_options_of_checkpoints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(mobile("HardSwish", gate=True).packed())
    arguments = ["import", str(path), "-o", str(tmp_path / "out"), "--mean", "127.5", "--std", "127.5"]
    assert main(arguments) == 0
    assert "3 x inverted residual" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "out")]) == 0
    assert main(["fmt", "--check", str(tmp_path / "out" / "net.mnet")]) == 0
    assert main([*arguments, "--key", "model"]) == 2


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "onnx":
            raise ImportError(name)
        return found(name, *rest)

    data = mobile().packed()
    monkeypatch.setattr(builtins, "__import__", without)
    refused = problem(data)
    assert refused.code == "MN1706"
    assert ".[onnx]" in str(refused.help)


def test_a_file_of_another_domain_is_named() -> None:
    net = Net()
    x = net.conv("input", 3, 4)
    net.nodes.append(helper.make_node("FusedConv", [x], ["y"], domain="com.microsoft"))
    net.output("y")
    model = net.model()
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    assert "com.microsoft.FusedConv" in problem(model.SerializeToString()).message
