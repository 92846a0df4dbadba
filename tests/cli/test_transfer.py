"""`mnet transfer`: says what is taken, and writes it beside new weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mnetdsl
from mnetdsl.weights import load_weights, save_weights
from tests.cli.process import mnet, refused

PETS = """mnet 1

use zoo.mobilenet_v1 { mobilenet_v1_features }

model pets(alpha: float = 0.25) {
  input image: u8[32, 32, 3] { color = rgb, mean = 127.5, std = 127.5 }
  x = mobilenet_v1_features(image, alpha = alpha) as backbone
  output kinds = dense(global_avg_pool(x), 4)
}
"""
HOW = ("--rename", "=backbone", "--new", "kinds", "--drop", "logits")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file with a head of its own, and the weights of the whole network."""
    (tmp_path / "pets.mnet").write_text(PETS, encoding="utf-8")
    whole = mnetdsl.load("mobilenet_v1", alpha=0.25, resolution=32)
    save_weights(tmp_path / "v1.safetensors", load_weights(whole.module, "random:1"))
    return tmp_path


def test_the_weights_that_are_written_fit_the_network(folder: Path) -> None:
    done = mnet("transfer", "pets.mnet", "--from", "v1.safetensors", *HOW, "-o", "start.npz", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "135 tensors taken from v1.safetensors",
        "2 tensors new, left as initialized:",
        "  kinds.weight  256x4",
        "  kinds.bias  4",
        "2 tensors of the file dropped:",
        "  logits.bias  1000",
        "  logits.weight  256x1000",
    ]
    written = load_weights(mnetdsl.load(folder / "pets.mnet").module, folder / "start.npz")
    with np.load(folder / "start.npz") as archive:
        assert set(archive.files) == set(written)
    assert np.ptp(written["kinds.weight"]) > 0


def test_without_output_nothing_is_written(folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = mnet("transfer", "pets.mnet", "--from", "v1.safetensors", *HOW, "--format", "json", cwd=folder)
    described = json.loads(done.stdout)
    assert len(described["taken"]) == 135
    assert described["new"][0] == {"name": "kinds.weight", "shape": [256, 4]}
    assert [tensor["name"] for tensor in described["dropped"]] == ["logits.bias", "logits.weight"]
    assert sorted(folder.iterdir()) == before


def test_another_width_is_explained(folder: Path) -> None:
    done = mnet("transfer", "pets.mnet", "--from", "v1.safetensors", *HOW, "--set", "alpha=0.5", cwd=folder)
    message = refused(done, "MN0713")
    assert "mostly 0.5 times as many channels" in message


@pytest.mark.parametrize("renames", [("backbone",), ("=backbone", "=eye")])
def test_a_malformed_renaming_is_a_mistake_of_the_command_line(folder: Path, renames: tuple[str, ...]) -> None:
    options = [part for rename in renames for part in ("--rename", rename)]
    refused(mnet("transfer", "pets.mnet", "--from", "v1.safetensors", *options, cwd=folder), "MN1401", exit_code=2)


def test_the_weights_are_found_behind_the_network_that_names_them(folder: Path) -> None:
    whole = folder / "whole"
    whole.mkdir()
    (folder / "v1.safetensors").rename(whole / "v1.safetensors")
    use = "mnet 1\n\nuse zoo.mobilenet_v1 { mobilenet_v1 }\n\n"
    deploy = 'deploy v1 of mobilenet_v1(alpha = 0.25, resolution = 32) {\n  weights = "v1.safetensors"\n}\n'
    (whole / "v1.mnet").write_text(use + deploy, encoding="utf-8")
    for source in ("whole", "whole/v1.mnet"):
        done = mnet("transfer", "pets.mnet", "--from", source, *HOW, cwd=folder)
        assert done.stdout.startswith("135 tensors taken from whole/v1.safetensors"), done.stderr


def test_a_network_that_names_no_weights_is_said(folder: Path) -> None:
    refused(mnet("transfer", "pets.mnet", "--from", "pets.mnet", *HOW, cwd=folder), "MN0701")
    (folder / "empty").mkdir()
    refused(mnet("transfer", "pets.mnet", "--from", "empty", *HOW, cwd=folder), "MN0904")
