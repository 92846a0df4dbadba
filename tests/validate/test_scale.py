"""Errors of a layer are measured by its sums, which its activation may cut."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends import runners
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from mnetdsl.passes.pipelines import optimize
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.validate import TOLERANCE, validate
from mnetdsl.validate.scale import Sums
from mnetdsl.weights import load_weights
from tests.validate.broken import BrokenRunner, off_by, transposed

TEXT = """\
mnet 1

model net() {
  input image: u8[8, 8, 3] { mean = 127.5, std = 127.5 }
  x = conv2d(image, 4) as stem
  x = relu6(x)
  x = conv2d(x, 4) as middle
  y = silu(x) as gate
  x = add(x, y) as sum
  output logits = dense(global_avg_pool(x), 5)
}
"""
LARGE = 1000.0


def network() -> Module:
    """The stem's sums are large, what relu6 leaves of them is not."""
    module = build(SourceFile("net.mnet", TEXT), None, {}).module
    module.resources.update(load_weights(module, "random:1"))
    for name in ("stem.weight", "stem.bias"):
        module.resources[name] = module.resources[name].astype(np.float32) * np.float32(LARGE)
    return module


def peaks(module: Module) -> dict[str, float]:
    image = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    sums = Sums(module, {"image": image})
    run(module, {"image": image}, sums.observe)
    return sums.peaks


def test_sums_are_those_in_front_of_a_fused_activation() -> None:
    fused, apart = peaks(optimize(network())), peaks(network())
    assert fused.keys() == {"stem", "gate"}
    assert fused["stem"] > LARGE / 10
    assert fused["stem"] in apart.values()


def test_layers_without_activation_have_none() -> None:
    assert not {"middle", "sum", "logits"} & peaks(optimize(network())).keys()


@pytest.mark.parametrize("error", [TOLERANCE, 3 * TOLERANCE])
def test_the_rounding_of_large_sums_is_accepted_behind_relu6(error: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(runners.RUNNERS, "broken", lambda module: BrokenRunner(module, "stem", off_by(error)))
    (layer,) = [each for each in validate(network(), ["broken"]).backends[1].layers if each.name == "stem"]
    assert layer.peak > LARGE / 10
    assert layer.absolute > 0
    assert layer.agrees


def test_a_fault_behind_relu6_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(runners.RUNNERS, "broken", lambda module: BrokenRunner(module, "stem", transposed))
    assert not validate(network(), ["broken"]).agrees
