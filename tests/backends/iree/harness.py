"""What the tests of this backend share."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl.ir.core import Module, Port
from mnetdsl.ir.types import ElementType
from tests.backends.iree.cases import CASES
from tests.backends.iree.cases.maker import CaseMaker

Array = NDArray[Any]
TARGETS = ("iree-cpu", "iree-vulkan")


def require_target(target: str) -> None:
    """Skips, or fails under CI, where the machine has no Vulkan."""
    if not target.startswith("iree-vulkan") or has_vulkan():
        return
    message = "no Vulkan device (Debian: apt-get install mesa-vulkan-drivers libvulkan1)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@cache
def has_vulkan() -> bool:
    """Asks in another process, which a driver may end."""
    program = "from iree import runtime; assert runtime.get_driver('vulkan').query_available_devices()"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def all_operations() -> Module:
    """One module with an output for every case, under the case's name."""
    maker = CaseMaker("operations")
    for name, case in CASES.items():
        maker.output(case(maker), name)
    return maker.module


def small_module(name: str = "small") -> Module:
    """Two layers on a u8 image: `stem` and `head`, with places in net.mnet."""
    maker = CaseMaker(name)
    image = maker.fresh(4, 4, 3, element=ElementType.U8)
    x = maker.op("normalize", {"input": image}, mean=(127.5,), std=(127.5,))
    x = maker.op("conv2d", {"input": x, "filter": maker.weights(3, 3, 3, 4)}, activation="relu6")
    maker.output(maker.op("global_avg_pool", {"input": x}), "logits")
    return maker.module


def inputs_of(module: Module, batch: int, seed: int = 0) -> dict[str, Array]:
    """Inputs that reach the saturated ends of every activation."""
    random = np.random.default_rng(seed)
    return {port.name: _input(port, batch, random) for port in module.graph.inputs}


def _input(port: Port, batch: int, random: np.random.Generator) -> NDArray[Any]:
    type = port.value.type
    shape = (batch, *type.shape[1:])
    if type.element.is_float:
        spread = np.array([1.0, 8.0, 60.0])[np.arange(batch) % 3].reshape(-1, *[1] * (len(shape) - 1))
        wide: Array = (random.standard_normal(shape) * spread).astype(np.float32)
        return wide
    limits = np.iinfo(type.element.dtype)
    found: Array = random.integers(limits.min, limits.max, shape, type.element.dtype, endpoint=True)
    return found
