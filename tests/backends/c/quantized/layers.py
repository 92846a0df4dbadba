"""Random layers of stored integers in one graph, for kernels that are compared bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c import Options, generate
from mnetdsl.backends.c.host import HostRunner
from mnetdsl.backends.qemu.runner import QemuRunner
from mnetdsl.interpreter import run
from mnetdsl.ir.builder import Builder
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, Quantization, Storage, TensorType
from mnetdsl.ir.verifier import verify
from tests.backends.c.harness import run_command, write
from tests.toolchain import require

Array = NDArray[Any]
SCALE = 0.05
SANITIZED = "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"


class Layers:
    """A module under construction. Inputs and results are int8 at one scale, zero points are random.

    The factors of a layer's channels lie around what makes its results use their range, a few are far from it, and
    some biases leave a channel one result only.
    """

    def __init__(self, seed: int, name: str = "net") -> None:
        self.module = Module(name)
        self.builder = Builder(self.module.graph)
        self.random = np.random.default_rng(seed)
        self.count = 0

    def storage(self, zero_point: int | None = None) -> Storage:
        zero = int(self.random.integers(-128, 128)) if zero_point is None else zero_point
        return Storage(ElementType.I8, Quantization.per_tensor(SCALE, zero))

    def input(self, *shape: int, zero_point: int | None = None) -> Value:
        self.count += 1
        type = TensorType((1, *shape), ElementType.I8).stored_as(self.storage(zero_point))
        return self.builder.input(f"in{self.count}", type).value

    def output(self, value: Value) -> None:
        self.builder.output(f"out{len(self.module.graph.outputs)}", value)

    def constant(self, name: str, values: Array) -> Value:
        self.module.resources[name] = values
        element = next(found for found in ElementType if found.dtype == values.dtype.name)
        return self.builder.constant(name, values.shape, element)

    def op(self, opcode: str, operands: Mapping[str, Any], storage: Storage | None = None, **attributes: Any) -> Value:
        self.count += 1
        made: Op = OPERATIONS[opcode](operands, attributes, Location(f"{opcode}{self.count}"), storage=storage)
        self.module.graph.operations.append(made)
        return made.result

    def weighted(
        self,
        opcode: str,
        x: Value,
        filter: tuple[int, ...],
        activation: str = "none",
        gain: float = 1.0,
        **attributes: Any,
    ) -> Value:
        """A layer with a filter of the given shape; with an activation, its result has the zero point -128.

        A gain of some hundreds makes factors that shift sums to the left.
        """
        self.count += 1
        name = f"{opcode}{self.count}"
        outputs = x.type.shape[-1] * filter[3] if opcode == "depthwise_conv2d" else filter[-1]
        taps = int(np.prod(filter)) // outputs
        weights = self.random.integers(-127, 128, filter).astype(np.int8)
        typical = 40 / (np.sqrt(taps) * 5000) * gain
        factors = typical * 2.0 ** self.random.uniform(-2, 2, outputs)
        odd = self.random.random(outputs) < 0.1
        factors[odd] *= 2.0 ** self.random.integers(-8, 1, int(odd.sum()))
        bias = self.random.normal(0, 30 / factors).clip(-(2**24), 2**24)
        constant = self.random.random(outputs) < 0.1
        bias[constant] = self.random.choice([-1, 1], int(constant.sum())) * 2.0**28
        operands = {
            "input": x,
            "filter": self.constant(f"{name}.weight", weights),
            "bias": self.constant(f"{name}.bias", bias.astype(np.int32)),
            "filter_scale": self.constant(f"{name}.weight_scale", factors.astype(np.float32)),
        }
        storage = self.storage(-128 if activation != "none" else None)
        return self.op(opcode, operands, storage, activation=activation, **attributes)

    def inputs(self) -> dict[str, Array]:
        """Numbers of all kinds: random, the least, the largest, and each of these where the other is next to it."""
        found = {}
        for port in self.module.graph.inputs:
            shape = port.value.type.shape[1:]
            noise = self.random.integers(-128, 128, (2, *shape))
            ends = self.random.choice([-128, 127], (1, *shape))
            flat = np.stack([np.full(shape, -128), np.full(shape, 127)])
            found[port.name] = np.concatenate([noise, ends, flat]).astype(np.int8)
        return found

    def expected(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The interpreter's results, of every layer and output."""
        verify(self.module)
        found: dict[str, Array] = {}
        outputs = run(self.module, inputs, lambda op, array: found.__setitem__(op.name, array))
        return {**found, **outputs}


def different(found: Mapping[str, Array], expected: Mapping[str, Array]) -> list[str]:
    """Names of results that are not equal."""
    return [name for name, array in expected.items() if not np.array_equal(found[name], array)]


def different_on_host(layers: Layers, options: Options) -> list[str]:
    """What the kernels that `options` choose compute otherwise than the interpreter, by their twins in C."""
    require("gcc")
    inputs = layers.inputs()
    expected = layers.expected(inputs)
    return different(HostRunner(layers.module, options).run(inputs, observe=expected), expected)


def different_in_qemu(layers: Layers, core: str) -> list[str]:
    """What the kernels for `core` compute otherwise than the interpreter, by their assembly."""
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
    inputs = layers.inputs()
    expected = layers.expected(inputs)
    return different(QemuRunner(layers.module, core).run(inputs, expected), expected)


def different_under_sanitizers(layers: Layers, options: Options, place: Path) -> list[str]:
    """Outputs of the program that users build, made with address and undefined-behaviour sanitizers."""
    require("gcc")
    require("make")
    folder = write(place, generate(layers.module, options=options).files)
    run_command(["make", "CC=gcc", f"CFLAGS={SANITIZED}", f"LDFLAGS={SANITIZED}"], folder)
    inputs = {name: array[2:3] for name, array in layers.inputs().items()}
    outputs = [port.name for port in layers.module.graph.outputs]
    for name, array in inputs.items():
        (folder / f"{name}.bin").write_bytes(array.tobytes())
    run_command(["./net_main", *(f"{name}.bin" for name in (*inputs, *outputs))], folder)
    expected = layers.expected(inputs)
    found = {name: np.fromfile(folder / f"{name}.bin", np.int8).reshape(expected[name].shape) for name in outputs}
    return different(found, {name: expected[name] for name in outputs})
