"""Which network, width and pixels a checkpoint is recognized as, and what is said where it almost fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save_file

import mnetdsl
from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.files import write_folder
from mnetdsl.importers import Imported, import_checkpoint
from mnetdsl.weights import save_weights
from tests.importers.checkpoints import Bfloat16, Tensors, keras_v1, pth, torchvision_v2, write_h5, write_keras

Write = Callable[[object], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def save(value: object) -> Path:
        path = tmp_path / "net.pth"
        path.write_bytes(pth(value))
        return path

    return save


def facts(imported: Imported) -> dict[str, str]:
    return {fact.name: fact.value for fact in imported.facts}


def weights(imported: Imported) -> dict[str, np.ndarray]:
    return load(imported.files[f"{imported.name}.safetensors"])


def refused(path: Path) -> Diagnostic:
    with pytest.raises(MnetError) as problem:
        import_checkpoint(path)
    (diagnostic,) = problem.value.diagnostics
    return diagnostic


def test_torchvision_names_give_its_pixels_padding_and_epsilon(write: Write) -> None:
    tensors = torchvision_v2(0.25, classes=7)
    imported = import_checkpoint(write(tensors))
    found = facts(imported)
    assert (imported.network, imported.library, found["alpha"], found["classes"]) == (
        "mobilenet_v2",
        "torchvision",
        "0.25",
        "7",
    )
    assert (found["padding"], found["epsilon"]) == ("symmetric", "0.00001")
    arrays = weights(imported)
    np.testing.assert_array_equal(arrays["stem.conv.weight"], tensors["features.0.0.weight"].transpose(2, 3, 1, 0))
    depthwise = tensors["features.2.conv.1.0.weight"]
    np.testing.assert_array_equal(arrays["body.1.depthwise.conv.weight"], depthwise.transpose(2, 3, 0, 1))
    np.testing.assert_array_equal(arrays["body.1.project.norm.bias"], tensors["features.2.conv.3.bias"])
    np.testing.assert_array_equal(arrays["logits.weight"], tensors["classifier.1.weight"].T)
    assert len(imported.counters) == 52
    assert imported.surplus == ()


def test_what_is_written_is_a_formatted_network_that_runs(write: Write, tmp_path: Path) -> None:
    imported = import_checkpoint(write(torchvision_v2()), parameters={"resolution": 32}, name="mine")
    write_folder(tmp_path / "out", imported.files)
    network = mnetdsl.load(tmp_path / "out").with_weights()
    assert network.name == "mine"
    attributes = network.module.graph.inputs[0].attributes
    assert attributes["mean"] == (123.675, 116.28, 103.53)
    image = np.zeros((1, 32, 32, 3), np.uint8)
    assert network.run({"image": image})["logits"].shape == (1, 7)
    from mnetdsl.source import SourceFile
    from mnetdsl.syntax.formatter import format_source

    text = imported.files["mine.mnet"].decode()
    assert format_source(SourceFile("mine.mnet", text)) == text


@pytest.mark.parametrize("kind", ["h5", "keras", "keras without names"])
def test_keras_files_of_all_versions_hold_the_same_network(tmp_path: Path, kind: str) -> None:
    tensors = keras_v1(0.5, classes=5)
    if kind == "h5":
        path = write_h5(tmp_path / "net.h5", tensors, resolution=96)
    else:
        path = write_keras(tmp_path / "net.keras", tensors, resolution=96, named=kind == "keras")
    imported = import_checkpoint(path)
    found = facts(imported)
    assert (imported.network, found["alpha"], found["resolution"], found["classes"]) == (
        "mobilenet_v1",
        "0.5",
        "96",
        "5",
    )
    assert found["padding"] == "same"
    arrays = weights(imported)
    np.testing.assert_array_equal(arrays["body.3.depthwise.conv.weight"], tensors["conv_dw_4/depthwise_kernel"])
    np.testing.assert_array_equal(arrays["body.3.depthwise.norm.running_var"], tensors["conv_dw_4_bn/moving_variance"])
    np.testing.assert_array_equal(arrays["logits.weight"], tensors["conv_preds/kernel"][0, 0])


@pytest.mark.parametrize("alpha", [0.35, 0.5, 0.75, 1.0, 1.4])
def test_the_width_is_found(write: Write, alpha: float) -> None:
    assert facts(import_checkpoint(write(torchvision_v2(alpha))))["alpha"] == str(alpha)


def test_averaged_weights_of_a_training_run_are_preferred_and_said(write: Write) -> None:
    raw, averaged = torchvision_v2(seed=1), torchvision_v2(seed=2)
    run = {"epoch": 7, "state_dict": raw, "state_dict_ema": averaged, "optimizer": {"state": {}}}
    path = write(run)
    imported = import_checkpoint(path)
    assert any("`state_dict_ema`" in note for note in imported.notes)
    np.testing.assert_array_equal(weights(imported)["logits.bias"], averaged["classifier.1.bias"])
    other = import_checkpoint(path, key="state_dict")
    np.testing.assert_array_equal(weights(other)["logits.bias"], raw["classifier.1.bias"])


def test_prefixes_of_wrappers_are_taken_off(write: Write) -> None:
    tensors = {f"module.model.{name}": array for name, array in torchvision_v2().items()}
    imported = import_checkpoint(write({"model": tensors}))
    assert imported.matched == 262
    assert any("`module.`" in note for note in imported.notes)


@pytest.mark.parametrize("element", ["half", "bfloat16"])
def test_16_bit_tensors_are_widened_and_said(write: Write, element: str) -> None:
    tensors = torchvision_v2()
    short = {
        name: array
        if array.dtype == np.int64
        else array.astype(np.float16)
        if element == "half"
        else Bfloat16(array.astype(np.float32))
        for name, array in tensors.items()
    }
    imported = import_checkpoint(write(short))
    assert f"262 tensors are {element}: widened to float32 exactly" in imported.notes
    exact = tensors["classifier.1.bias"]
    stored = exact.astype(np.float16).astype(np.float32)
    if element == "bfloat16":
        stored = (exact.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    np.testing.assert_array_equal(weights(imported)["logits.bias"], stored)


def test_a_transposed_classifier_is_turned_and_said(write: Write) -> None:
    tensors = torchvision_v2()
    right = tensors["classifier.1.weight"]
    imported = import_checkpoint(write({**tensors, "classifier.1.weight": np.ascontiguousarray(right.T)}))
    assert any("transposed" in note for note in imported.notes)
    np.testing.assert_array_equal(weights(imported)["logits.weight"], right.T)


def test_a_classifier_of_another_name_is_found(write: Write) -> None:
    tensors = torchvision_v2()
    renamed = {name.replace("classifier.1", "fc"): array for name, array in tensors.items()}
    assert facts(import_checkpoint(write(renamed)))["classes"] == "7"


def test_our_own_names_are_taken_as_they_are(tmp_path: Path) -> None:
    network = mnetdsl.load("mobilenet_v1", alpha=0.25, classes=3).with_weights("random:1")
    save_weights(tmp_path / "own.safetensors", network.module.resources)
    imported = import_checkpoint(tmp_path / "own.safetensors")
    assert (imported.library, facts(imported)["alpha"], facts(imported)["classes"]) == ("mnetdsl", "0.25", "3")
    for name, array in weights(imported).items():
        np.testing.assert_array_equal(array, network.module.resources[name])


def test_safetensors_need_no_order(tmp_path: Path) -> None:
    save_file(dict(sorted(torchvision_v2().items(), reverse=True)), tmp_path / "net.safetensors")
    assert import_checkpoint(tmp_path / "net.safetensors").matched == 262


# What does not fit ---------------------------------------------------------------------------------------------------


def without(tensors: Tensors, part: str) -> Tensors:
    return {name: array for name, array in tensors.items() if part not in name}


def test_a_near_miss_names_the_first_tensor_that_differs(write: Write) -> None:
    tensors = torchvision_v2(0.75)
    tensors["features.0.0.weight"] = np.zeros((40, 3, 3, 3), np.float32)
    problem = refused(write(tensors))
    assert problem.code == "MN1509"
    assert "mobilenet_v2 at alpha 0.75" in problem.message
    assert "`features.0.0.weight` is 3x3x3x40, where that network has 3x3x3x24" in problem.message


def test_a_missing_tensor_in_the_middle_is_a_near_miss(write: Write) -> None:
    problem = refused(write(without(torchvision_v2(), "features.9.conv.1.0")))
    assert problem.code == "MN1509"
    assert "features.9.conv.1.0.weight` is missing" in problem.message


def test_surplus_tensors_are_refused_until_the_user_says_so(write: Write) -> None:
    path = write({**torchvision_v2(), "auxiliary.weight": np.zeros((3, 5), np.float32)})
    problem = refused(path)
    assert problem.code == "MN1510"
    assert "auxiliary.weight" in problem.notes
    assert import_checkpoint(path, ignore_surplus=True).surplus == ("auxiliary.weight",)


def test_a_checkpoint_without_classifier_says_so(write: Write) -> None:
    assert refused(write(without(torchvision_v2(), "classifier"))).code == "MN1512"


def test_a_detector_says_so(write: Write) -> None:
    backbone = {f"backbone.{name}": array for name, array in torchvision_v2().items()}
    heads = {"head.classification_head.module_list.0.weight": np.zeros((8, 8, 1, 1), np.float32)}
    problem = refused(write({**backbone, **heads}))
    assert problem.code == "MN1508"
    assert "detector" in problem.message


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("layer1.0.conv1.weight", "layer2.1.conv1.weight"), "a ResNet"),
        (("features.denseblock1.denselayer1.norm1.weight",), "a DenseNet"),
        (("features.0.weight", "features.3.weight", "classifier.6.weight"), "a VGG or AlexNet"),
        (("features.0.weight", "features.3.squeeze.weight"), "a SqueezeNet"),
        (("features.0.0.weight", "features.1.0.block.0.0.weight"), "an EfficientNet"),
        (("features.0.0.weight", "features.1.0.layer_scale"), "a ConvNeXt"),
        (("patch_embed.proj.weight", "blocks.0.attn.qkv.weight"), "a vision transformer"),
    ],
)
def test_another_architecture_says_which(write: Write, names: tuple[str, ...], kind: str) -> None:
    problem = refused(write({name: np.zeros((8, 8, 3, 3), np.float32) for name in names}))
    assert problem.code == "MN1507"
    assert f"its names are those of {kind}" in problem.notes


def test_a_segmentation_network_says_so(write: Write) -> None:
    backbone = {f"backbone.{name}": array for name, array in torchvision_v2().items()}
    problem = refused(write({**backbone, "classifier.0.convs.0.0.weight": np.zeros((8, 8, 1, 1), np.float32)}))
    assert problem.code == "MN1508"
    assert "segmentation network" in problem.message


def test_another_width_than_the_given_one_says_which_it_has(write: Write) -> None:
    with pytest.raises(MnetError) as caught:
        import_checkpoint(write(torchvision_v2(0.75)), parameters={"alpha": 1.0})
    (problem,) = caught.value.diagnostics
    assert problem.code == "MN1513"
    assert "mobilenet_v2 at alpha 0.75, with the names of torchvision, not at the alpha of 1.0" in problem.message


@pytest.mark.parametrize("alpha", [0.77, 0.43, 1.65])
def test_a_width_that_nobody_else_has_is_found(write: Write, alpha: float) -> None:
    network = mnetdsl.load("mobilenet_v2", alpha=alpha, classes=7)
    imported = import_checkpoint(write(torchvision_v2(alpha)))
    found = mnetdsl.load("mobilenet_v2", alpha=imported.parameters["alpha"], classes=7)
    assert found.summary().parameters == network.summary().parameters


def test_values_that_are_not_finite_name_the_tensor(write: Write) -> None:
    tensors = torchvision_v2()
    tensors["features.0.1.bias"][2] = np.nan
    problem = refused(write(tensors))
    assert problem.code == "MN0706"
