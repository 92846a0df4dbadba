"""What PyTorch's exporters write of a MobileNet is imported with its blocks and its numbers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnetdsl
from mnetdsl.importers.onnx import import_onnx
from tests.exporters.needs import need

pytestmark = pytest.mark.torch
HEADS = ("mean", "pool", "view", "map")


def network(torch: Any, act: Any, head: str) -> Any:
    """A V3-like network with random norms, written as torchvision and timm write theirs."""
    nn, functional = torch.nn, torch.nn.functional

    def layer(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, last: bool = False) -> Any:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), *([] if last else [act()]))

    class Gate(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.reduce, self.expand = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

        def forward(self, x: Any) -> Any:
            gate = self.expand(functional.relu(self.reduce(functional.adaptive_avg_pool2d(x, 1))))
            return x * functional.hardsigmoid(gate)

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            wide = inputs * 3
            self.add = stride == 1 and inputs == outputs
            depthwise = layer(wide, wide, 3, stride, wide)
            self.layers = nn.Sequential(layer(inputs, wide), depthwise, Gate(wide), layer(wide, outputs, last=True))

        def forward(self, x: Any) -> Any:
            return x + self.layers(x) if self.add else self.layers(x)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(layer(3, 8, 3, 2), Block(8, 8, 1), Block(8, 12, 2), Block(12, 12, 1))
            self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12 * (64 if head == "map" else 1), 5))

        def forward(self, x: Any) -> Any:
            x = self.features(x)
            if head == "mean":
                x = x.mean([2, 3])
            elif head == "pool":
                x = functional.adaptive_avg_pool2d(x, 1).flatten(1)
            elif head == "view":
                x = functional.adaptive_avg_pool2d(x, 1)
                x = x.view(x.size(0), -1)
            else:
                x = x.flatten(1)
            return self.classifier(x)

    torch.manual_seed(1)
    made = Network().eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return made


def agrees(torch: Any, model: Any, path: Path) -> str:
    """The text of the imported network, whose logits are those of PyTorch."""
    imported = import_onnx(path, mean=(127.5,), std=(64.0,))
    folder = path.parent / "out"
    folder.mkdir()
    for name, data in imported.files.items():
        (folder / name).write_bytes(data)
    pixels = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    given = ((pixels.astype(np.float32) - 127.5) / 64.0).transpose(0, 3, 1, 2)
    with torch.no_grad():
        expected = model(torch.from_numpy(np.ascontiguousarray(given))).numpy()
    (logits,) = mnetdsl.load(folder).with_weights().run({"image": pixels}).values()
    np.testing.assert_allclose(logits, expected, atol=1e-5 * float(np.abs(expected).max()))
    written = (folder / "net.mnet").read_text()
    assert "for row in body" in written
    assert "block squeeze_excite(" in written
    assert "transpose(" not in written
    return written


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("folding", [True, False])
def test_the_tracing_exporter_with_norms_folded_and_not(head: str, folding: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    need("onnx")
    model = network(torch, torch.nn.Hardswish, head)
    mode = torch.onnx.TrainingMode.EVAL if folding else torch.onnx.TrainingMode.PRESERVE
    example = (torch.zeros(1, 3, 32, 32),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and still what many files come from
        torch.onnx.export(
            model, example, str(tmp_path / "net.onnx"), dynamo=False, do_constant_folding=folding, training=mode
        )
    assert "hard_swish" in agrees(torch, model, tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("head", "act"), [*((head, "Hardswish") for head in HEADS), ("pool", "ReLU6"), ("pool", "SiLU")]
)
def test_the_exporter_of_today_with_its_weights_in_a_second_file(head: str, act: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    need("onnx")
    model = network(torch, getattr(torch.nn, act), head)
    example = (torch.zeros(1, 3, 32, 32),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, example, str(tmp_path / "net.onnx"), dynamo=True, external_data=True, verbose=False)
    written = agrees(torch, model, tmp_path / "net.onnx")
    assert {"Hardswish": "hard_swish", "ReLU6": "relu6", "SiLU": "silu"}[act] in written
