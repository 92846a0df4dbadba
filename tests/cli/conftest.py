from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NETWORK = """mnet 1

use std.blocks { conv_bn }

/// Small enough to run anywhere at once.
model tiny(classes: int = 4) {
  input image: u8[8, 8, 3] { color = rgb, mean = 127.5, std = 127.5 }
  x = conv_bn(image, 4, kernel = 3, stride = 2) as stem
  output logits = dense(global_avg_pool(x), classes) { labels = ["cat", "dog", "cow", "owl"] }
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds `tiny.mnet` and an image that fits it."""
    (tmp_path / "tiny.mnet").write_text(NETWORK)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path
