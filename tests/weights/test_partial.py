"""A backbone's weights under another head: what is taken, what stays, and every way in which it could go wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.ir.core import Module
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.weights import load_partial, load_weights, save_weights
from tests.weights.conftest import Arrays

BLOCK = """mnet 1

use std.blocks { conv_bn, separable }

block backbone(image: tensor, width: int) {
  x = conv_bn(image, width, kernel = 3, stride = 2) as stem
  x = separable(x, 2 * width) as body
  return x
}
"""
WHOLE = """
model whole(width: int = 8) {
  input image: u8[16, 16, 3] { color = rgb, mean = 127.5, std = 127.5 }
  output logits = dense(global_avg_pool(backbone(image, width)), 9)
}
"""
HEADED = """
model headed(width: int = 8) {
  input image: u8[16, 16, 3] { color = rgb, mean = 127.5, std = 127.5 }
  x = backbone(image, width)LABEL
  x = conv_bn(x, 6) as neck
  output kinds = dense(global_avg_pool(x), 4)
}
"""


def module(model: str, label: str = "", **parameters: int) -> Module:
    return build(SourceFile("net.mnet", BLOCK + model.replace("LABEL", label)), None, parameters).module


@pytest.fixture
def trained() -> Arrays:
    return load_weights(module(WHOLE), "random:1")


@pytest.fixture
def file(trained: Arrays, tmp_path: Path) -> Path:
    path = tmp_path / "whole.safetensors"
    save_weights(path, trained)
    return path


def refused(network: Module, path: Path, **how: Any) -> dict[str, Diagnostic]:
    with pytest.raises(MnetError) as failure:
        load_partial(network, path, **how)
    assert all(diagnostic.help and diagnostic.location == str(path) for diagnostic in failure.value.diagnostics)
    return {diagnostic.code: diagnostic for diagnostic in failure.value.diagnostics}


def test_the_backbone_is_taken_and_the_rest_is_listed(trained: Arrays, file: Path) -> None:
    transfer = load_partial(module(HEADED), file, new=["neck", "kinds"], drop=["logits"])
    assert set(transfer.arrays) == {name for name in trained if not name.startswith("logits.")}
    assert all(np.array_equal(values, trained[name]) for name, values in transfer.arrays.items())
    assert [name for name, _ in transfer.new][:2] == ["neck.conv.weight", "neck.norm.weight"]
    assert transfer.dropped == (("logits.bias", (9,)), ("logits.weight", (16, 9)))
    assert str(transfer).splitlines()[:2] == [f"15 tensors taken from {file}", "7 tensors new, left as initialized:"]
    assert "  kinds.weight  6x4" in str(transfer)
    assert "2 tensors of the file dropped:" in str(transfer)


def test_a_label_of_the_network_is_put_in_front_of_the_names_of_the_file(trained: Arrays, file: Path) -> None:
    network = module(HEADED, " as eye")
    transfer = load_partial(network, file, new=["neck", "kinds"], drop=["logits"], rename={"": "eye"})
    assert np.array_equal(transfer.arrays["eye.stem.conv.weight"], trained["stem.conv.weight"])


def test_a_label_of_the_file_is_taken_off(file: Path, trained: Arrays, tmp_path: Path) -> None:
    labelled = tmp_path / "labelled.npz"
    save_weights(labelled, {f"net.eye.{name}": values for name, values in trained.items()})
    transfer = load_partial(module(WHOLE), labelled, rename={"net.eye": ""})
    assert transfer.arrays.keys() == trained.keys()
    assert (transfer.new, transfer.dropped) == ((), ())


def test_the_longest_renamed_layer_counts(file: Path) -> None:
    network = module(HEADED, " as eye")
    renames = {"": "eye", "body": "eye.body"}
    assert len(load_partial(network, file, new=["neck", "kinds"], drop=["logits"], rename=renames).arrays) == 15


def test_a_new_layer_stands_in_for_that_of_the_file(file: Path) -> None:
    transfer = load_partial(module(WHOLE.replace(", 9)", ", 3)")), file, new=["logits"])
    assert (
        {name for name, _ in transfer.new} == {name for name, _ in transfer.dropped} == {"logits.weight", "logits.bias"}
    )


def test_counters_of_pytorch_are_no_weights(trained: Arrays, tmp_path: Path) -> None:
    path = tmp_path / "counted.safetensors"
    save_weights(path, {**trained, "stem.norm.num_batches_tracked": np.zeros((), np.int64)})
    assert load_partial(module(WHOLE), path).dropped == ()


def test_what_is_missing_and_surplus_is_said_with_what_would_allow_it(file: Path) -> None:
    problems = refused(module(HEADED), file)
    assert problems.keys() == {"MN0702", "MN0703"}
    assert '`new=["neck", "kinds"]`, or `--new neck --new kinds`' in problems["MN0702"].help[0]
    assert '`drop=["logits"]`, or `--drop logits`' in problems["MN0703"].help[0]
    assert "logits.weight  16x9" in problems["MN0703"].notes


def test_a_forgotten_label_is_found(file: Path) -> None:
    problems = refused(module(HEADED, " as eye"), file, new=["neck", "kinds"])
    assert problems.keys() == {"MN0702"}
    assert '15 of them lie under `eye` in the network: say `rename={"": "eye"}`' in problems["MN0702"].help[0]


def test_a_forgotten_label_of_the_file_is_found(trained: Arrays, tmp_path: Path) -> None:
    path = tmp_path / "labelled.npz"
    save_weights(path, {f"eye.{name}": values for name, values in trained.items()})
    problems = refused(module(WHOLE), path)
    assert '17 of them lie under `eye` in the file: say `rename={"eye": ""}`' in problems["MN0702"].help[0]


@pytest.mark.parametrize(("width", "ratio"), [(16, "0.5"), (4, "2")])
def test_another_width_is_explained(file: Path, width: int, ratio: str) -> None:
    problems = refused(module(HEADED, width=width), file, new=["neck", "kinds"], drop=["logits"])
    assert problems.keys() == {"MN0713"}
    assert f"mostly {ratio} times as many channels" in problems["MN0713"].message
    assert f"stem.norm.weight  needs {width} channels, the file has 8" in problems["MN0713"].notes
    assert f"{ratio} times what it is" in problems["MN0713"].help[0]


def test_a_head_of_another_size_may_be_started_anew(file: Path) -> None:
    problems = refused(module(WHOLE.replace(", 9)", ", 3)")), file)
    assert problems.keys() == {"MN0704"}
    assert "`load_partial`" in problems["MN0704"].help[1]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"new": ["neckk"]}, "the network has no layer `neckk` with weights"),
        ({"drop": ["logit"]}, "the weight file has no layer `logit` with weights"),
        ({"rename": {"boddy": "body"}}, "the weight file has no layer `boddy` with weights"),
        ({"rename": {"": "eye"}}, "the network has no layer `eye` with weights"),
    ],
)
def test_a_layer_that_is_not_there_is_an_error(file: Path, how: dict[str, object], message: str) -> None:
    assert refused(module(HEADED), file, **how)["MN0714"].message == message


def test_a_misspelt_layer_gets_a_suggestion(file: Path) -> None:
    assert refused(module(HEADED), file, new=["neckk"])["MN0714"].help == ("did you mean `neck`?",)


def test_two_tensors_for_one_place_are_refused(file: Path) -> None:
    problems = refused(module(WHOLE), file, rename={"stem": "body.depthwise"})
    assert "`body.depthwise.conv.weight` and `stem.conv.weight` would both" in problems["MN0715"].message


def test_damaged_values_of_the_backbone_are_refused_and_those_of_dropped_layers_do_no_harm(
    trained: Arrays, tmp_path: Path
) -> None:
    path = tmp_path / "diverged.safetensors"
    for layer, code in (("stem.conv", "MN0706"), ("logits", "")):
        damaged = {**trained, f"{layer}.weight": np.full_like(trained[f"{layer}.weight"], np.nan)}
        save_weights(path, damaged)
        if code:
            assert refused(module(HEADED), path, new=["neck", "kinds"], drop=["logits"]).keys() == {code}
        else:
            load_partial(module(HEADED), path, new=["neck", "kinds"], drop=["logits"])


def test_one_name_in_place_of_a_list_is_a_mistake_of_the_caller(file: Path) -> None:
    with pytest.raises(TypeError, match="lists of layers"):
        load_partial(module(WHOLE), file, new="logits")
