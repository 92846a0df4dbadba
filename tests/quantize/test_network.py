"""A float network and pictures become a folder whose text says every scale, and which computes almost the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.api import Network
from mnetdsl.diagnostics import MnetError
from mnetdsl.interpreter import run
from mnetdsl.ir.types import ElementType
from mnetdsl.quantize.quantizer import Settings
from mnetdsl.sema.values import Activation
from tests.quantize.networks import NET, network, pictures, save_pictures


def logits(net: Network, images: NDArray[np.generic]) -> NDArray[np.float64]:
    port = net.module.graph.outputs[0]
    result = net.run({"image": images})[port.name].astype(np.float64)
    quantization = port.value.type.quantization
    return result if quantization is None else (result - quantization.zero_point[0]) * quantization.scale[0]


def sqnr(exact: NDArray[np.float64], given: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.square(exact).sum() / np.square(exact - given).sum()))


def test_the_written_network_computes_almost_what_the_float_one_does(tmp_path: Path) -> None:
    net = network(tmp_path / "float")
    result = net.quantize(pictures(16), tmp_path / "int8")
    written = mnetdsl.load(tmp_path / "int8").with_weights()
    unseen = np.concatenate(pictures(8, seed=1))
    assert written.name == result.name == "net_int8"
    assert sqnr(logits(net, unseen), logits(written, unseen)) > 22.0


def test_every_tensor_is_stored_in_8_bits(tmp_path: Path) -> None:
    module = network(tmp_path / "float").quantize(pictures(4)).module
    stored = {op.name: op.type.element for op in module.graph.operations if op.type.quantization is not None}
    assert {"stem.conv", "middle.add", "swish", "classifier"} <= set(stored)
    assert set(stored.values()) == {ElementType.I8}


def test_the_folder_takes_labels_along_and_keeps_the_text(tmp_path: Path) -> None:
    result = network(tmp_path / "float").quantize(pictures(2), tmp_path / "int8")
    assert sorted(result.files) == ["labels/ten.txt", "net_int8.mnet", "net_int8.safetensors"]
    text = (tmp_path / "int8" / "net_int8.mnet").read_text()
    assert text.startswith(NET.rstrip())
    labels = mnetdsl.load(tmp_path / "int8").module.graph.outputs[0].attributes["labels"]
    assert isinstance(labels, tuple)
    assert labels[3] == "digit 3"


def test_parameters_that_were_set_stand_in_the_deployment(tmp_path: Path) -> None:
    result = network(tmp_path / "float", act=Activation("relu")).quantize(pictures(2))
    assert "deploy net_int8 of net(act = relu) {" in result.files["net_int8.mnet"].decode()


def test_other_deployments_are_left_out_and_the_target_is_kept(tmp_path: Path) -> None:
    text = NET + (
        '\n/// On the small part.\ndeploy first of net() {\n  weights = "first.safetensors"\n'
        "  quantize int8 { limit = 4 }\n  target cortex_m4 { flash = 1M }\n}\n"
        '\n/// Another.\ndeploy second of net() {\n  weights = "second.safetensors"\n}\n'
    )
    result = network(tmp_path / "float", text, model="first").quantize(pictures(2))
    written = result.files["first_int8.mnet"].decode()
    assert written.count("deploy ") == 1
    assert "Another" not in written
    assert "On the small part" not in written
    assert "target cortex_m4 { flash = 1M }" in written
    assert "limit" not in written


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    net = network(tmp_path / "float")
    assert net.quantize(pictures(4)).files == net.quantize(pictures(4)).files


def test_a_folder_of_pictures_is_read_as_evaluation_reads_it(tmp_path: Path) -> None:
    net = network(tmp_path / "float")
    folder = save_pictures(tmp_path / "photos", 5, size=40)
    assert net.quantize(folder, limit=3).found.images == 3


def test_the_file_that_the_network_uses_comes_along(tmp_path: Path) -> None:
    (tmp_path / "float" / "parts").mkdir(parents=True)
    (tmp_path / "float" / "parts" / "heads.mnet").write_text(
        "mnet 1\n\nblock head(x: tensor) {\n  return dense(global_avg_pool(x), 10)\n}\n"
    )
    text = (
        'mnet 1\n\nuse "parts/heads.mnet" { head }\n\nmodel net() {\n'
        "  input image: u8[24, 24, 3] { mean = 128, std = 128 }\n"
        "  output logits = head(relu(conv2d(image, 4))) as head\n}\n"
    )
    network(tmp_path / "float", text).quantize(pictures(2), tmp_path / "int8")
    assert (tmp_path / "int8" / "parts" / "heads.mnet").exists()
    assert mnetdsl.load(tmp_path / "int8").with_weights().run({"image": pictures(1)[0]})["logits"].shape == (1, 10)


def test_a_file_outside_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ten.txt").write_text("".join(f"{index}\n" for index in range(10)))
    net = network(tmp_path / "float", NET.replace("labels/ten.txt", "../ten.txt"))
    with pytest.raises(MnetError) as caught:
        net.quantize(pictures(2))
    assert [problem.code for problem in caught.value.diagnostics] == ["MN1811"]


def test_a_layer_can_stay_in_float(tmp_path: Path) -> None:
    net = network(tmp_path / "float")
    settings = Settings(in_float=frozenset({"last"}))
    net.quantize(pictures(8), tmp_path / "int8", settings=settings)
    written = mnetdsl.load(tmp_path / "int8").with_weights()
    assert written.module.resources["last.weight"].dtype == np.float32
    unseen = np.concatenate(pictures(8, seed=1))
    assert sqnr(logits(net, unseen), logits(written, unseen)) > 22.0


@pytest.mark.parametrize("layer", ["stem.norm", "lost"])
def test_a_layer_that_is_not_there_is_named(tmp_path: Path, layer: str) -> None:
    with pytest.raises(MnetError) as caught:
        network(tmp_path / "float").quantize(pictures(2), settings=Settings(wide=frozenset({layer})))
    assert caught.value.diagnostics[0].code == "MN1810"
    assert layer in caught.value.diagnostics[0].message


def test_all_layers_that_are_not_there_are_named_at_once_with_what_is_near(tmp_path: Path) -> None:
    settings = Settings(wide=frozenset({"lst", "stem.norm"}), in_float=frozenset({"stem.cnv"}))
    with pytest.raises(MnetError) as caught:
        network(tmp_path / "float").quantize(pictures(2), settings=settings)
    wide, other, in_float = caught.value.diagnostics
    assert ("--int16 lst" in wide.message, wide.help[0]) == (True, "did you mean `last`?")
    assert "--int16 stem.norm" in other.message
    assert ("--float stem.cnv" in in_float.message, in_float.help[0]) == (True, "did you mean `stem.conv`?")


def test_a_quantized_network_is_not_quantized_again(tmp_path: Path) -> None:
    network(tmp_path / "float").quantize(pictures(2), tmp_path / "int8")
    with pytest.raises(MnetError) as caught:
        mnetdsl.load(tmp_path / "int8").with_weights().quantize(pictures(2))
    assert caught.value.diagnostics[0].code == "MN1812"


def test_without_weights_nothing_is_quantized(tmp_path: Path) -> None:
    network(tmp_path / "float")
    with pytest.raises(MnetError) as caught:
        mnetdsl.load(tmp_path / "float").quantize(pictures(2))
    assert caught.value.diagnostics[0].code == "MN0720"


def test_weights_that_overflow_are_named_by_their_layer(tmp_path: Path) -> None:
    net = network(tmp_path / "float")
    net.module.resources["last.weight"] = np.full_like(net.module.resources["last.weight"], 3e38)
    with pytest.raises(MnetError) as caught:
        net.quantize(pictures(2))
    assert caught.value.diagnostics[0].code == "MN1809"
    assert "`last`" in caught.value.diagnostics[0].message


def test_one_picture_is_enough_to_get_a_network(tmp_path: Path) -> None:
    result = network(tmp_path / "float").quantize(pictures(1), tmp_path / "int8")
    assert result.found.images == 1
    assert mnetdsl.load(tmp_path / "int8").with_weights().run({"image": pictures(1)[0]})["logits"].dtype == np.int8


def test_black_pictures_give_scales_above_zero(tmp_path: Path) -> None:
    net = network(tmp_path / "float", NET.replace("mean = 128", "mean = 0"))
    black = [np.zeros((1, 24, 24, 3), np.uint8)] * 2
    rows = net.quantize(black).found.rows
    assert all(row.storage.quantization is not None and row.storage.quantization.scale[0] > 0 for row in rows)


def test_one_array_of_all_pictures_does_as_a_list_of_them(tmp_path: Path) -> None:
    net = network(tmp_path / "float")
    together = net.quantize(np.concatenate(pictures(4)))
    assert together.files == net.quantize(pictures(4)).files


@pytest.mark.parametrize("shape", [(4, 24, 24, 1), (4, 20, 24, 3), (24, 24, 3), (0, 24, 24, 3)])
def test_arrays_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(MnetError) as caught:
        network(tmp_path / "float").quantize(np.zeros(shape, np.uint8))
    assert caught.value.diagnostics[0].code == "MN0621"


def test_no_array_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MnetError) as caught:
        network(tmp_path / "float").quantize([])
    assert caught.value.diagnostics[0].code == "MN1806"


def test_a_network_that_names_the_class_keeps_all_of_its_scores(tmp_path: Path) -> None:
    head, _, _ = NET.partition("  output logits")
    text = head + "  x = dense(x, 10) as classifier\n  output class = argmax(x)\n}\n"
    net = network(tmp_path / "float", text)
    result = net.quantize(pictures(16))
    assert result.found.chosen["classifier"].observer == "min-max"
    unseen = np.concatenate(pictures(8, seed=1))
    assert (run(result.module, {"image": unseen})["class"] == net.run({"image": unseen})["class"]).mean() > 0.8


@pytest.mark.filterwarnings("error")
def test_a_network_of_huge_numbers_is_quantized_like_another(tmp_path: Path) -> None:
    net = network(tmp_path / "float", act=Activation("relu"))
    for name, array in net.module.resources.items():
        if name.startswith("stem.norm") and name.endswith(("weight", "bias")):
            net.module.resources[name] = np.asarray(array, np.float32) * np.float32(2**66)
    tuned = net.quantize(pictures(16)).found.tuned
    assert all(np.isfinite(tuned.noise[name]) for name in tuned.noise)
    assert tuned.sqnr("classifier") > 30.0
