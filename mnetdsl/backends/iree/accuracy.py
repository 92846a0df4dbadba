"""What storing maps and weights in bfloat16 costs: a module's outputs beside the interpreter's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnetdsl.backends.iree.package import IreePackage
from mnetdsl.backends.iree.runner import PackageRunner
from mnetdsl.images import random_input
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module

IMAGES = 8
"""Of noise: enough to see the size of the differences, not which of real images change their class."""


@dataclass(frozen=True)
class Accuracy:
    """difference: the largest one of any output, as a fraction of that output's largest magnitude. same_class: images
    whose largest element of the first output stays where it was."""

    images: int
    difference: float
    same_class: int

    def __str__(self) -> str:
        return (
            f"outputs differ from float32 by up to {self.difference:.2%} of their largest magnitude, "
            f"the largest of {self.images} noise images stays the same in {self.same_class}"
        )


def measure(module: Module, package: IreePackage, images: int = IMAGES) -> Accuracy:
    """Runs both on `images` images. Raises `MnetError` as `PackageRunner` does."""
    runner = PackageRunner(package)
    differences: list[float] = []
    same = 0
    for seed in range(1, images + 1):
        inputs = {port.name: random_input(port, seed) for port in module.graph.inputs}
        expected, got = run(module, inputs), runner.run(inputs)
        for name, array in expected.items():
            scale = max(float(np.abs(array).max()), 1e-30)
            differences.append(float(np.abs(got[name].astype(np.float64) - array).max()) / scale)
        first = module.graph.outputs[0].name
        same += int(got[first].argmax() == expected[first].argmax())
    return Accuracy(images, max(differences), same)
