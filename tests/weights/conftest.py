from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl.ir.core import Module
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.weights import load_weights

NETWORK = """mnet 1

use std.blocks { conv_bn, separable }

model net(classes: int = 5) {
  input image: u8[16, 16, 3] { color = rgb, mean = 127.5, std = 127.5 }
  x = conv_bn(image, 8, kernel = 3, stride = 2) as stem
  x = separable(x, 12) as body
  output logits = dense(global_avg_pool(x), classes) as classifier
}
"""

Arrays = dict[str, NDArray[np.generic]]


@pytest.fixture
def module() -> Module:
    return build(SourceFile("net.mnet", NETWORK)).module


@pytest.fixture
def weights(module: Module) -> Arrays:
    """Float32 arrays that fit `module`."""
    return load_weights(module, "random:1")
