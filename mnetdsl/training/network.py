"""The torch module of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mnetdsl.ir.core import Module
from mnetdsl.ir.derivation import NUMBERS
from mnetdsl.ir.types import TensorType
from mnetdsl.passes.number_arrays import number_array
from mnetdsl.training.ops import DEPENDS_ON_MODE, EVALUATE
from mnetdsl.training.ops.constant import initial_values, is_trainable
from mnetdsl.training.program import Program, Step, program_of
from mnetdsl.training.scope import Scope


class TorchNetwork(Scope):
    """Computes what the graph says, differentiably.

    Parameters and buffers have the names and the layouts of the weight file (convolution filters [KH, KW, I, O]), so
    that `state_dict()` is the content of that file. Maps are [N, H, W, C] between operations; convolutions see them
    as the NCHW view of the same memory, which torch calls channels_last.
    """

    def __init__(self, module: Module, seed: int) -> None:
        super().__init__()
        self.program: Program = program_of(module)
        self.momentum = 0.1
        """Share of the newest batch in the running statistics of batch normalization."""
        generator = torch.Generator().manual_seed(seed)
        entered: set[str] = set()
        for op in module.graph.constants():
            name = str(op.attributes["resource"])
            if name in entered:
                continue
            entered.add(name)
            derivation = module.derived.get(name)
            if derivation is not None and derivation.function == NUMBERS:
                self.enter_fixed(name, torch.from_numpy(number_array([], dict(derivation.attributes))).float())
                continue
            if name in module.resources:
                values = _checked(name, module.resources[name], op.type)
            elif name in module.derived:
                raise ValueError(f"`{name}` was made by a pass: train the module as written, `Network.module`")
            else:
                values = initial_values(op.result, generator)
            self.enter(name, values, trainable=is_trainable(op.result))

    def forward(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        """The output for inputs `[N, …]` in the order of the ports; a dict by name where there are several outputs.

        Images are given as the input declares them (`u8` pixels, as uint8 or as float of the same range).
        """
        program = self.program
        self._check_inputs(inputs)
        values: dict[int, Any] = dict(zip(program.inputs, inputs, strict=True))
        for number, name in program.constants:
            values[number] = self.tensor(name)
        for step in program.steps:
            values[step.result] = self._evaluate(step, values)
            for number in step.last_reads:
                del values[number]
        ports = program.module.graph.outputs
        results = {port.name: values[number] for port, number in zip(ports, program.outputs, strict=True)}
        return results if len(results) > 1 else next(iter(results.values()))

    def _evaluate(self, step: Step, values: Mapping[int, Any]) -> Tensor:
        operands = {
            name: tuple(values[number] for number in numbers) if isinstance(numbers, tuple) else values[numbers]
            for name, numbers in step.operands
        }
        evaluate = EVALUATE[step.op.opcode]
        if step.op.opcode in DEPENDS_ON_MODE:
            return evaluate(step.op, **operands, training=self._is_training(step), momentum=self.momentum)
        return evaluate(step.op, **operands)

    def _is_training(self, step: Step) -> bool:
        """The mode of the scope that the operation's own tensors lie in; the network's where it has none."""
        for value in step.op.operands[1:]:
            if value.producer is not None and value.producer.opcode == "constant":
                path, _, _ = str(value.producer.attributes["resource"]).rpartition(".")
                return bool(self.child(path).training)
        return bool(self.training)

    def _check_inputs(self, inputs: tuple[Tensor, ...]) -> None:
        ports = self.program.module.graph.inputs
        if len(inputs) != len(ports):
            raise ValueError(f"the network takes {len(ports)} inputs, got {len(inputs)}")
        for port, values in zip(ports, inputs, strict=True):
            expected = port.value.type.shape[1:]
            if tuple(values.shape[1:]) != expected:
                raise ValueError(
                    f"input `{port.name}` takes [N, {', '.join(map(str, expected))}], got {list(values.shape)}"
                )

    def set_weights(self, weights: Mapping[str, NDArray[np.generic]], partial: bool = False) -> None:
        """Copies arrays by name in; raises `ValueError` for another shape, and for tensors without one unless
        `partial`, where they keep their values."""
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                if name not in weights:
                    if partial:
                        continue
                    raise ValueError(f"no values for `{name}`")
                values = torch.from_numpy(np.array(weights[name]))
                if values.shape != tensor.shape:
                    raise ValueError(f"`{name}` is {list(tensor.shape)}, got {list(values.shape)}")
                tensor.copy_(values)


def _checked(name: str, values: NDArray[np.generic], type: TensorType) -> Tensor:
    if values.shape != type.shape:
        raise ValueError(f"`{name}` is {list(type.shape)}, got {list(values.shape)}")
    return torch.from_numpy(values.astype(type.element.dtype, copy=True))
