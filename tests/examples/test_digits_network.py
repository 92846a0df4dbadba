"""The trained digits network does what its record states, on every backend."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import mnetdsl
from tests.examples.conftest import DIGITS
from tests.toolchain import require

Script = Callable[[str], ModuleType]
STATED = json.loads((DIGITS / "training.json").read_text(encoding="utf-8"))


def test_the_weights_are_those_of_the_record() -> None:
    weights = (DIGITS / "digits.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == STATED["weights_sha256"]


def test_the_record_states_at_least_99_percent() -> None:
    assert STATED["test"]["images"] == 10_000
    assert STATED["test"]["accuracy"] >= 0.99


def test_the_network_fits_a_microcontroller() -> None:
    summary = mnetdsl.load(DIGITS).summary()
    assert summary.parameters < 60_000
    assert summary.macs < 3_000_000


def test_the_demo_classifies_the_shipped_images_on_every_backend(tmp_path: Path) -> None:
    require("gcc")
    command = [sys.executable, str(DIGITS / "demo.py"), "--output", str(tmp_path / "demo")]
    result = subprocess.run(
        command, capture_output=True, encoding="utf-8", check=False, env={**os.environ, "PYTHONUTF8": "1"}
    )
    assert result.returncode == 0, result.stderr
    assert "Interpreter, C and IREE agree" in result.stdout
    rows = [line.split()[:2] for line in result.stdout.splitlines() if line.startswith(("interpreter", "C ", "IREE"))]
    assert [name for name, _ in rows] == ["interpreter", "C", "IREE"]
    assert all(int(correct) >= STATED["shipped_images"]["correct"] for _, correct in rows)
    assert list((tmp_path / "demo" / "c").glob("digits.c"))
    assert list((tmp_path / "demo" / "iree").glob("*.vmfb"))


def answers(demo: ModuleType, *changes: tuple[str, int]) -> tuple[dict[str, Any], np.ndarray]:
    """Right answers for all shipped images; each change spoils the first `count` ones of a backend."""
    labels = np.arange(STATED["shipped_images"]["images"]) % 10
    found = {}
    for backend in demo.BACKENDS:
        logits = np.eye(10, dtype=np.float32)[labels] * 5
        for spoiled, count in changes:
            if backend == spoiled:
                logits[:count] = np.roll(logits[:count], 1, axis=1)
        found[backend] = demo.Answers(logits, 0.0)
    return found, labels


def test_the_demo_is_content_where_all_agree(script: Script) -> None:
    demo = script("demo")
    assert demo.report(*answers(demo)) == 0


def test_the_demo_fails_where_a_backend_disagrees(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    demo = script("demo")
    assert demo.report(*answers(demo, ("c", 1))) == 1
    assert "C and the interpreter differ by" in capsys.readouterr().err


def test_the_demo_fails_where_a_result_is_not_a_number(script: Script) -> None:
    demo = script("demo")
    found, labels = answers(demo)
    found["iree-cpu"].logits[3] = np.nan
    assert demo.report(found, labels) == 1


def test_the_demo_fails_below_the_stated_accuracy(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    demo = script("demo")
    changes = tuple((backend, 9) for backend in demo.BACKENDS)
    assert demo.report(*answers(demo, *changes)) == 1
    assert "training.json says" in capsys.readouterr().err


def test_the_shipped_images_are_small_files() -> None:
    files = list((DIGITS / "images").glob("*.png"))
    assert len(files) == STATED["shipped_images"]["images"]
    assert sum(file.stat().st_size for file in files) < 200_000


@pytest.mark.slow
def test_the_stated_accuracy_is_reached_on_all_test_images(script: Script) -> None:
    """Fetches MNIST. Another BLAS may turn a tie, hence two images of tolerance."""
    _, test = script("mnist").load()
    network = mnetdsl.load(DIGITS).with_weights()
    parts = [test.images[start : start + 500] for start in range(0, len(test), 500)]
    found = np.concatenate([network.run({"image": part})["logits"].argmax(axis=1) for part in parts])
    assert abs(int((found == test.labels).sum()) - STATED["test"]["correct"]) <= 2


@pytest.mark.slow
def test_the_shipped_images_are_the_first_test_images(script: Script) -> None:
    _, test = script("mnist").load()
    images, labels = script("demo").load_images()
    assert np.array_equal(images, test.images[: len(images)])
    assert np.array_equal(labels, test.labels[: len(labels)])
