"""Weights go from PyTorch into files that `mnet` reads, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mnetdsl
from mnetdsl import interpreter
from mnetdsl.diagnostics import MnetError
from mnetdsl.training import load_weights, save_weights, to_torch, weights_of

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

NETWORK = mnetdsl.load("mobilenet_v2", alpha=0.35, resolution=32, classes=5)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", ["net.safetensors", "net.npz"])
def test_what_pytorch_saves_the_compiler_reads(tmp_path: Path, name: str) -> None:
    net = to_torch(NETWORK.module, seed=4)
    net(torch.from_numpy(IMAGES))
    save_weights(net, tmp_path / name)
    module = NETWORK.with_weights(tmp_path / name).module
    expected = net.eval()(torch.from_numpy(IMAGES)).detach().numpy()
    found = interpreter.run(module, {"image": IMAGES})["logits"]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_state_dict_saved_by_safetensors_itself_is_the_same_file_content(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    net = to_torch(NETWORK.module)
    save_file(net.state_dict(), tmp_path / "plain.safetensors")
    resources = NETWORK.with_weights(tmp_path / "plain.safetensors").module.resources
    assert all(np.array_equal(resources[name], values) for name, values in weights_of(net).items())


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_weights(to_torch(NETWORK.module, seed=9), tmp_path / f"{name}.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_weights_read_back_are_those_written(tmp_path: Path) -> None:
    net, other = to_torch(NETWORK.module, seed=1), to_torch(NETWORK.module, seed=2)
    save_weights(net, tmp_path / "net.safetensors")
    load_weights(other, tmp_path / "net.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))


def test_weights_of_another_network_are_refused_and_change_nothing(tmp_path: Path) -> None:
    wider = mnetdsl.load("mobilenet_v2", alpha=0.35, resolution=32, classes=7)
    save_weights(to_torch(wider.module), tmp_path / "wider.safetensors")
    net = to_torch(NETWORK.module)
    before = weights_of(net)
    with pytest.raises(MnetError) as caught:
        load_weights(net, tmp_path / "wider.safetensors")
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == ["MN0704"]
    assert all(np.array_equal(before[name], values) for name, values in weights_of(net).items())
