"""The training script of `examples/digits`, on digits made up here."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import mnetdsl
from mnetdsl.training import to_torch, weights_of

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(DIGITS))
    script = importlib.import_module("train")
    monkeypatch.setattr(script, "THREADS", 1)
    yield script
    torch.use_deterministic_algorithms(False)


def bars(train: ModuleType, count: int) -> object:
    """Digit d is a bar of ink in column 2 d + 4."""
    labels = (np.arange(count) * 7 % 10).astype(np.uint8)
    images = np.zeros((count, 28, 28, 1), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4:24, 2 * label + 4] = 255
    return train.mnist.Digits(images, labels)


def trained(train: ModuleType, **recipe: object) -> tuple[object, list[float]]:
    net = to_torch(mnetdsl.load(DIGITS / "digits.mnet").module)
    losses: list[float] = []
    train.train(net, bars(train, 80), train.Recipe(batch=16, **recipe), lambda epoch, loss: losses.append(loss))
    return net, losses


def test_training_lowers_the_loss(train: ModuleType) -> None:
    _, losses = trained(train, epochs=6)
    assert losses[-1] < 0.7 * losses[0]


def test_the_same_seed_gives_the_same_weights(train: ModuleType) -> None:
    torch.use_deterministic_algorithms(True)
    first, again, other = (weights_of(trained(train, epochs=2, seed=seed)[0]) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["logits.weight"], other["logits.weight"])


def test_distortion_moves_ink_but_keeps_its_range(train: ModuleType) -> None:
    images = torch.from_numpy(bars(train, 20).images)
    moved = train.distort(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 255
    assert (moved - images.float()).abs().amax(dim=(1, 2, 3)).min() > 0
    assert abs(float(moved.mean() / images.float().mean()) - 1) < 0.1


def test_the_script_writes_weights_record_and_images(
    train: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "VALIDATION", 50)
    monkeypatch.setattr(train.mnist, "load", lambda folder: (bars(train, 306), bars(train, 310)))
    monkeypatch.setattr("sys.argv", ["train.py", "--epochs", "1", "--output", str(tmp_path)])
    train.main()
    record = json.loads((tmp_path / "training.json").read_text(encoding="utf-8"))
    assert record["test"]["images"] == 310
    assert record["recipe"]["epochs"] == 1
    assert len(list((tmp_path / "images").glob("*.png"))) == train.SHIPPED
    assert (tmp_path / "labels.csv").read_text(encoding="utf-8").splitlines()[:3] == [
        "file,label",
        "00000.png,0",
        "00001.png,7",
    ]
    mnetdsl.load(DIGITS / "digits.mnet").with_weights(tmp_path / "digits.safetensors")
    assert "epoch  1/1" in capsys.readouterr().out
