"""Imported networks compute what the libraries' own networks compute, with random statistics of batch normalization.

Needs two packages without their dependencies: `pip install --no-deps timm==1.0.31 torchvision==0.28.0`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnetdsl
from mnetdsl.files import write_folder
from mnetdsl.importers import import_checkpoint
from mnetdsl.sema.values import Symbol, Value

pytestmark = [pytest.mark.torch, pytest.mark.slow]

TOLERANCE = 2e-5
TENSORFLOW: dict[str, Value] = {"padding": Symbol("same"), "epsilon": 1e-3}


@pytest.fixture(scope="module")
def torch() -> Any:
    torch = pytest.importorskip("torch")
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor", "qnms() -> ()"):
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            library.define(schema)
    yield torch
    del library


@pytest.mark.parametrize(
    ("library", "name", "settings", "network", "parameters"),
    [
        ("torchvision", "mobilenet_v2", {"width_mult": 0.5, "num_classes": 9}, "mobilenet_v2", {}),
        ("torchvision", "mobilenet_v3_large", {}, "mobilenet_v3_large", {}),
        ("torchvision", "mobilenet_v3_small", {}, "mobilenet_v3_small", {}),
        ("timm", "mobilenetv1_100", {}, "mobilenet_v1", {}),
        ("timm", "mobilenetv2_140", {}, "mobilenet_v2", {}),
        ("timm", "mobilenetv3_small_100", {}, "mobilenet_v3_small", {}),
        ("timm", "tf_mobilenetv3_small_075", {}, "mobilenet_v3_small", TENSORFLOW),
        ("timm", "tf_mobilenetv3_large_minimal_100", {}, "mobilenet_v3_large_minimalistic", {}),
        ("timm", "mobilenet_edgetpu_100", {}, "mobilenet_edgetpu", {}),
        ("timm", "mobilenetv4_conv_small", {}, "mobilenet_v4_conv_small", {}),
        ("timm", "mobilenetv4_conv_medium", {}, "mobilenet_v4_conv_medium", {}),
        ("timm", "mobilenetv4_conv_large", {}, "mobilenet_v4_conv_large", {}),
        ("timm", "mobilenetv4_hybrid_medium", {}, "mobilenet_v4_hybrid_medium", {}),
        ("timm", "mobilenetv4_hybrid_large", {}, "mobilenet_v4_hybrid_large", {}),
    ],
)
def test_an_imported_network_computes_the_same(
    torch: Any,
    tmp_path: Path,
    library: str,
    name: str,
    settings: dict[str, Any],
    network: str,
    parameters: dict[str, Value],
) -> None:
    torch.manual_seed(0)
    if library == "timm":
        theirs = pytest.importorskip("timm").create_model(name, **settings).eval()
    else:
        theirs = getattr(pytest.importorskip("torchvision.models"), name)(**settings).eval()
    _randomize(torch, theirs)
    torch.save({"state_dict": theirs.state_dict(), "epoch": 1}, tmp_path / "net.pth")
    imported = import_checkpoint(tmp_path / "net.pth", parameters={"resolution": 128, **parameters})
    assert (imported.network, imported.library) == (network, library)
    write_folder(tmp_path / "out", imported.files)
    ours = mnetdsl.load(tmp_path / "out").with_weights()
    attributes = ours.module.graph.inputs[0].attributes
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    scaled = (pixels - np.array(attributes["mean"])) / np.array(attributes["std"])
    with torch.no_grad():
        expected = theirs(torch.tensor(scaled).float().permute(0, 3, 1, 2)).numpy()
    found = ours.run({"image": pixels})["logits"]
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


def _randomize(torch: Any, net: Any) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                shape = module.running_mean.shape
                module.running_mean.copy_(torch.randn(shape, generator=generator) * 0.1)
                module.running_var.copy_(torch.rand(shape, generator=generator) + 0.5)
                module.weight.copy_(torch.rand(shape, generator=generator) + 0.5)
                module.bias.copy_(torch.randn(shape, generator=generator) * 0.1)
