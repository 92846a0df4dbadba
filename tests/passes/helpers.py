"""Graphs for tests of passes, and the check that a pass keeps what is computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnetdsl.interpreter import run
from mnetdsl.ir.clone import clone
from mnetdsl.ir.core import Module, Op, OperandArgument, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.ops.batch_norm import BatchNorm
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.verifier import verify
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context
from mnetdsl.passes.pass_manager import run_passes
from tests.graphs import GraphMaker


class LayerMaker(GraphMaker):
    """Adds layers with weights under their names; layer number n stands on line n of `net.mnet`."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__("net", seed)
        self.line = 0

    def place(self, name: str = "") -> Location:
        self.line += 1
        return Location(name, "net.mnet", self.line, 1)

    def conv(
        self, name: str, x: Value, outputs: int, kernel: int = 1, bias: bool = False, weight: Value | None = None,
        **attributes: AttributeValue,
    ) -> Value:  # fmt: skip
        shape = (kernel, kernel, x.type.shape[3], outputs)
        w = self.random_constant(f"{name}.weight", *shape, scale=0.3) if weight is None else weight
        b = self.random_constant(f"{name}.bias", outputs) if bias else None
        operands: dict[str, OperandArgument] = {"input": x, "filter": w, "bias": b}
        return self.builder.add(Conv2d, self.place(name), operands, **attributes).result

    def depthwise(
        self,
        name: str,
        x: Value,
        multiplier: int = 1,
        kernel: int = 3,
        bias: bool = False,
        **attributes: AttributeValue,
    ) -> Value:
        channels = x.type.shape[3]
        w = self.random_constant(f"{name}.weight", kernel, kernel, channels, multiplier, scale=0.3)
        b = self.random_constant(f"{name}.bias", channels * multiplier) if bias else None
        operands: dict[str, OperandArgument] = {"input": x, "filter": w, "bias": b}
        return self.builder.add(DepthwiseConv2d, self.place(name), operands, **attributes).result

    def dense(self, name: str, x: Value, outputs: int, bias: bool = False, **attributes: AttributeValue) -> Value:
        w = self.random_constant(f"{name}.weight", x.type.shape[1], outputs, scale=0.3)
        b = self.random_constant(f"{name}.bias", outputs) if bias else None
        operands: dict[str, OperandArgument] = {"input": x, "filter": w, "bias": b}
        return self.builder.add(Dense, self.place(name), operands, **attributes).result

    def norm(self, name: str, x: Value) -> Value:
        channels = x.type.shape[-1]
        keys = {"scale": "weight", "offset": "bias", "mean": "running_mean"}
        operands = {operand: self.random_constant(f"{name}.{key}", channels) for operand, key in keys.items()}
        variance = self.random.uniform(0.5, 2.0, channels).astype(np.float32)
        operands["variance"] = self.constant(f"{name}.running_var", variance)
        return self.builder.add(BatchNorm, self.place(name), {"input": x, **operands}, epsilon=1e-3).result

    def op(
        self,
        opcode: str,
        *operands: Value,
        name: str = "",
        group: list[Value] | None = None,
        **attributes: AttributeValue,
    ) -> Value:
        """Any operation without weights, operands in declared order."""
        names = [definition.name for definition in OPERATIONS[opcode].operand_defs]
        given = {names[0]: group} if group is not None else dict(zip(names, operands, strict=True))
        return self.builder.add(OPERATIONS[opcode], self.place(name), given, **attributes).result


def passed(module: Module, *passes: Pass) -> tuple[Module, list[str]]:
    """A copy of `module` behind `passes`, and the remarks. The copy computes what `module` does, on a batch of 3."""
    verify(module)
    copy, context = clone(module), Context()
    run_passes(copy, passes, context)
    assert_same_results(module, copy)
    return copy, [str(remark) for remark in context.remarks]


def assert_same_results(left: Module, right: Module, tolerance: float = 2e-5) -> None:
    inputs = random_inputs(left)
    before, after = run(left, inputs), run(right, inputs)
    assert list(before) == list(after)
    for name, expected in before.items():
        size = float(np.abs(expected).max(initial=1.0))
        np.testing.assert_allclose(after[name], expected, rtol=0, atol=tolerance * size, err_msg=name)


def random_inputs(module: Module, batch: int = 3) -> dict[str, NDArray[np.generic]]:
    random = np.random.default_rng(7)
    inputs: dict[str, NDArray[np.generic]] = {}
    for port in module.graph.inputs:
        shape = (batch, *port.value.type.shape[1:])
        if port.value.type.element.is_float:
            inputs[port.name] = (random.standard_normal(shape) * 4).astype(np.float32)
        else:
            inputs[port.name] = random.integers(0, 256, shape).astype(port.value.type.element.dtype)
    return inputs


def opcodes(module: Module) -> list[str]:
    """Operations in order, without constants."""
    return [op.opcode for op in module.graph.operations if op.opcode != "constant"]


def only(module: Module, opcode: str) -> Op:
    (op,) = (op for op in module.graph.operations if op.opcode == opcode)
    return op
