"""Small float networks with weights, and pictures, that tests of quantization start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import mnetdsl
from mnetdsl.api import Network
from mnetdsl.sema.values import Value

NET = """mnet 1

use std.blocks { conv_bn, inverted_residual }

/// Two blocks, of which one adds its input.
model net(act: activation = relu6) {
  input image: u8[24, 24, 3] { mean = 128, std = 128 }
  x = conv_bn(image, 8, kernel = 3, stride = 2, act = act) as stem
  x = inverted_residual(x, 8, expansion = 2) as middle
  x = conv2d(x, 16) as last
  x = hard_swish(x) as swish
  x = global_avg_pool(x) as mean
  output logits = dense(x, 10) as classifier { labels = "labels/ten.txt" }
}
"""


def network(
    folder: Path, text: str = NET, weights: str = "random:3", model: str | None = None, **parameters: Value
) -> Network:
    """The network of `text`, written into `folder` with its labels."""
    folder.mkdir(exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / "ten.txt").write_text("".join(f"digit {index}\n" for index in range(10)))
    (folder / "net.mnet").write_text(text)
    return mnetdsl.load(folder / "net.mnet", model=model, **parameters).with_weights(weights)


def pictures(count: int, size: int = 24, seed: int = 0) -> list[NDArray[np.generic]]:
    """Smooth pictures `[1, size, size, 3]`, each with its own colors."""
    random = np.random.default_rng(seed)
    found: list[NDArray[np.generic]] = []
    across = np.linspace(0, 1, size)
    for _ in range(count):
        corners = random.uniform(0, 255, (2, 2, 3))
        rows = corners[0][:, None] * (1 - across)[None, :, None] + corners[1][:, None] * across[None, :, None]
        whole = rows[0][None] * (1 - across)[:, None, None] + rows[1][None] * across[:, None, None]
        noisy = whole + random.normal(0, 8, whole.shape)
        found.append(np.clip(noisy, 0, 255).astype(np.uint8)[None])
    return found


def save_pictures(folder: Path, count: int, size: int = 24) -> Path:
    folder.mkdir()
    for index, picture in enumerate(pictures(count, size)):
        Image.fromarray(np.asarray(picture[0], np.uint8)).save(folder / f"{index:03}.png")
    return folder
