"""A network for validation, small enough that the interpreter takes no time."""

from __future__ import annotations

from mnetdsl.ir.core import Module
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.weights import load_weights

TEXT = """\
mnet 1

model net(resolution: int = 12) {
  input image: u8[resolution, resolution, 3] { mean = 127.5, std = 127.5 }
  x = conv2d(image, 8, kernel = 3, stride = 2) as stem
  x = relu6(x)
  x = depthwise_conv2d(x, kernel = 3) as filter
  x = relu6(x)
  y = conv2d(x, 8) as project
  x = add(x, y) as residual
  output logits = dense(global_avg_pool(x), 5) as classifier
  output map = relu(x)
}
"""
STEM_LINE, FILTER_LINE, PROJECT_LINE = 5, 7, 9


def network() -> Module:
    module = build(SourceFile("net.mnet", TEXT), None, {}).module
    module.resources.update(load_weights(module, "random:1"))
    return module
