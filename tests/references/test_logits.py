"""The zoo's networks compute what independent implementations compute, with the same weights.

The reference saves a checkpoint with every weight random; `mnet import` takes it, and the interpreter runs it on the
same pixels. So names, layouts, padding, epsilon and the scale of pixels are compared together with the arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest

import mnetdsl
from mnetdsl.importers import import_checkpoint
from mnetdsl.sema.values import Symbol, Value
from tests.references.cases import KERAS, TORCH, Case
from tests.references.conftest import Worker

pytestmark = pytest.mark.slow

TOLERANCE = 1e-4
"""Of the largest logit."""
DISTINCT = 1e-2
"""Logits of two pictures lie at least so far apart, so that the comparison is not one of biases."""
Record = Callable[[str, object], None]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is emptied after the test: pytest keeps some, and these weights are large."""
    yield tmp_path
    rmtree(tmp_path)


@pytest.mark.parametrize("case", KERAS, ids=lambda case: case.label)
def test_keras(case: Case, keras_worker: Worker, folder: Path, record_property: Record) -> None:
    compare(case, keras_worker, {}, folder, record_property)


@pytest.mark.parametrize("case", TORCH, ids=lambda case: case.label)
def test_torchvision_and_timm(case: Case, timm_worker: Worker, folder: Path, record_property: Record) -> None:
    parameters: dict[str, Value] = {}
    if case.reference.startswith("timm.tf_"):
        parameters = {"padding": Symbol("same"), "epsilon": 1e-3}  # which names and shapes do not tell
    compare(case, timm_worker, parameters, folder, record_property)


def compare(case: Case, worker: Worker, parameters: dict[str, Value], folder: Path, record: Record) -> None:
    checkpoint, arrays = folder / f"theirs{case.suffix}", folder / "arrays.npz"
    reply = worker.ask(
        {
            "reference": case.reference,
            "alpha": case.alpha,
            "resolution": case.resolution,
            "arguments": case.arguments,
            "checkpoint": str(checkpoint),
            "arrays": str(arrays),
        }
    )
    network = imported(checkpoint, case, parameters, folder)
    assert network.summary().parameters == reply["parameters"]
    assert_macs(network, reply["macs"])

    saved = np.load(arrays)
    expected = saved["logits"]
    largest = np.abs(expected).max()
    assert np.isfinite(expected).all()
    assert np.abs(expected[0] - expected[1]).max() > DISTINCT * largest
    found = network.run({"image": saved["image"]})["logits"]
    error = float(np.abs(found - expected).max() / largest)
    record("error", error)
    print(f"{case.label}: {error:.1e}")
    assert error <= TOLERANCE


def imported(checkpoint: Path, case: Case, parameters: dict[str, Value], folder: Path) -> mnetdsl.Network:
    """The network that `mnet import` makes of the checkpoint, which must recognize it."""
    result = import_checkpoint(checkpoint, name="net", parameters={"resolution": case.resolution, **parameters})
    assert (result.network, result.parameters["alpha"]) == (case.network, case.alpha)
    assert not result.surplus
    for name, data in result.files.items():
        (folder / name).write_bytes(data)
    if case.pixels is not None:
        text = result.files["net.mnet"].decode()
        for setting, value in zip(("mean", "std"), case.pixels, strict=True):
            text = re.sub(rf"{setting} = \[.*?\]", f"{setting} = {value}", text)
        (folder / "net.mnet").write_text(text, encoding="utf-8")
    return mnetdsl.load(folder / "net.mnet", model="net").with_weights()


def assert_macs(network: mnetdsl.Network, theirs: int) -> None:
    """`theirs` are those of convolutions and linear layers."""
    assert sum(layer.macs for layer in network.summary().layers if layer.op != "matmul") == theirs
