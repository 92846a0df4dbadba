"""What the tests of kernels of scalar invocations on bytes share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mnetdsl.backends.iree.package import generate
from mnetdsl.backends.iree.runner import PackageRunner
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.types import Storage
from tests.backends.iree.harness import inputs_of, require_target
from tests.backends.iree.quantized.cases import QuantizedMaker

TARGET = "iree-vulkan:simt"


def extreme(maker: QuantizedMaker, opcode: str, source: Value, filter: tuple[int, ...], stored: Storage) -> Value:
    """A layer whose weights and biases are at both ends of what is stored, with factors that leave sums whole or
    nothing of them."""
    random = maker.random
    channels = filter[2] * filter[3] if opcode == "depthwise_conv2d" else filter[-1]
    weights = random.choice(np.array([-128, -127, 0, 127], np.int8), filter)
    weights.reshape(-1, channels)[:, : channels // 3] = -128
    scales = np.float32(2.0) ** random.integers(-24, 3, channels).astype(np.float32)
    operands: dict[str, Any] = {
        "input": source,
        "filter": maker.held(weights),
        "bias": maker.held(random.choice(np.array([-(2**30), -1, 0, 2**30], np.int32), channels)),
        "filter_scale": maker.held(scales),
    }
    return maker.op(opcode, operands, stored)


def built(build: Callable[[QuantizedMaker], list[Value]], seed: int = 5) -> Module:
    """A module with an output for each value, named by number, layer and type."""
    maker = QuantizedMaker("words", seed=seed)
    for number, value in enumerate(build(maker)):
        maker.output(value, f"{number}: {value.producer.opcode if value.producer else 'input'} {value.type}")
    return maker.module


def differing(module: Module, batch: int = 2) -> tuple[dict[str, int], dict[str, str | None]]:
    """How many results of each output differ from the interpreter's, where any does, and each layer's kernel.

    The last two of the inputs are all lowest and all highest numbers.
    """
    require_target("iree-vulkan")
    inputs = inputs_of(module, batch + 2)
    for array in inputs.values():
        if array.dtype.kind in "iu":
            limits = np.iinfo(array.dtype)
            array[-2], array[-1] = limits.min, limits.max
    package = generate(module, "net", TARGET)
    results = PackageRunner(package).run(inputs)
    expected = run(module, inputs)
    assert all(array.std() > 0 for array in expected.values())
    wrong = {name: int((results[name] != array).sum()) for name, array in expected.items()}
    kernels = {road.location.name: road.kernel for road in package.roads}
    return {name: count for name, count in wrong.items() if count}, kernels
