"""A trained backbone in another network: loaded in part, frozen in part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnetdsl import weights
from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Module
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.training import freeze, load_partial, to_torch, unfreeze, weights_of

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

TEXT = """mnet 1

use zoo.mobilenet_v2 { mobilenet_v2, mobilenet_v2_features }

model pets() {
  input image: u8[32, 32, 3] { color = rgb, mean = 127.5, std = 127.5 }
  x = mobilenet_v2_features(image, alpha = 0.35) as backbone
  output kinds = dense(global_avg_pool(x), 4)
}

deploy whole of mobilenet_v2(alpha = 0.35, resolution = 32, classes = 7) {}
"""
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)


def module(name: str) -> Module:
    return build(SourceFile("pets.mnet", TEXT), name).module


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "whole.safetensors"
    weights.save_weights(path, weights.load_weights(module("whole"), "random:1"))
    return path


def changed(net: torch.nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    """Layers, two names deep, whose parameters or statistics moved."""
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    return {".".join(name.split(".")[:-1][:3]) for name in moved}


def one_step(net: torch.nn.Module) -> set[str]:
    """What one step of training in training mode changes."""
    net.train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    net(torch.from_numpy(IMAGES)).square().sum().backward()
    optimizer.step()
    return changed(net, before)


def test_the_backbone_is_taken_and_the_head_keeps_its_start(file: Path) -> None:
    net = to_torch(module("pets"), seed=3)
    fresh = weights_of(net)
    transfer = load_partial(net, file, new=["kinds"], drop=["logits"], rename={"": "backbone"})
    trained = weights.load_weights(module("whole"), file)
    after = weights_of(net)
    assert all(np.array_equal(after[f"backbone.{name}"], trained[name]) for name in trained if "logits" not in name)
    assert all(np.array_equal(after[name], fresh[name]) for name in ("kinds.weight", "kinds.bias"))
    assert len(transfer.arrays) == len(after) - 2


def test_what_does_not_fit_changes_nothing(file: Path) -> None:
    net = to_torch(module("pets"))
    before = weights_of(net)
    with pytest.raises(MnetError):
        load_partial(net, file, new=["kinds"])
    assert all(np.array_equal(values, before[name]) for name, values in weights_of(net).items())


def test_a_frozen_backbone_keeps_parameters_and_statistics_while_the_network_trains() -> None:
    net = to_torch(module("pets"))
    freeze(net, "backbone")
    assert one_step(net) == {"kinds"}
    assert net.training
    assert not any(scope.training for scope in net.get_submodule("backbone").modules())


def test_a_frozen_backbone_needs_no_gradient() -> None:
    net = to_torch(module("pets"))
    freeze(net, "backbone")
    assert {name for name, parameter in net.named_parameters() if parameter.requires_grad} == {
        "kinds.weight",
        "kinds.bias",
    }


def test_a_part_of_what_is_frozen_can_be_trained_again() -> None:
    net = to_torch(module("pets"))
    freeze(net, "backbone")
    unfreeze(net, "backbone.body.16", "backbone.head")
    moved = one_step(net)
    assert moved == {"kinds", "backbone.body.16", "backbone.head.conv", "backbone.head.norm"}


def test_all_is_trained_again_after_unfreezing() -> None:
    net = to_torch(module("pets"))
    freeze(net, "")
    assert not net.train().training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    unfreeze(net, "")
    assert {name.partition(".")[0] for name in one_step(net)} == {"backbone", "kinds"}


def test_unfreezing_gives_the_mode_back_that_the_network_is_in() -> None:
    net = to_torch(module("pets"))
    for mode in (False, True):
        freeze(net, "backbone")
        net.train(mode)
        unfreeze(net, "backbone")
        assert {scope.training for scope in net.modules()} == {mode}


@pytest.mark.parametrize("act", [freeze, unfreeze])
def test_a_layer_that_is_not_there_is_an_error_and_nothing_is_frozen(act: Callable[..., None]) -> None:
    net = to_torch(module("pets"))
    with pytest.raises(MnetError) as failure:
        act(net, "kinds", "backbon")
    (diagnostic,) = failure.value.diagnostics
    assert (diagnostic.code, diagnostic.help) == ("MN0714", ("did you mean `backbone`?",))
    assert all(parameter.requires_grad for parameter in net.parameters())
