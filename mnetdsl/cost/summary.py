"""Shapes, parameters and multiply-accumulates of a module, layer by layer and in total. Needs no weights."""

from __future__ import annotations

from dataclasses import dataclass

from mnetdsl.cost.macs import multiply_accumulates
from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.derivation import NUMBERS
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import Shape, TensorType

_STATISTICS = {("batch_norm", "mean"), ("batch_norm", "variance")}
"""Operands that are measured, not trained: papers and Keras' "trainable" leave them out."""


@dataclass(frozen=True)
class LayerCost:
    """One operation. `parameters` are the trained ones it is first to read; bytes are those of its result, N = 1."""

    name: str
    op: str
    shape: Shape
    """Of the result, batch left out."""
    element: str
    parameters: int
    macs: int
    activation_bytes: int
    inputs: tuple[str, ...]
    """Names of the layers and graph inputs that it reads."""
    place: str
    """`file.mnet:line` that made it."""


@dataclass(frozen=True)
class PortType:
    """An input or output of the network."""

    name: str
    shape: Shape
    element: str


@dataclass(frozen=True)
class Summary:
    """Layers in the order of execution."""

    name: str
    inputs: tuple[PortType, ...]
    outputs: tuple[PortType, ...]
    layers: tuple[LayerCost, ...]
    statistics: int
    """Batch-norm means and variances, which `parameters` leaves out."""
    weight_bytes: int
    """Of all tensors of the weight file, statistics included."""

    @property
    def parameters(self) -> int:
        """Trained parameters, batch-norm scale and offset included, statistics not."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        """Of all results together; what must be in memory at once is the plan's to say."""
        return sum(layer.activation_bytes for layer in self.layers)

    def as_json(self) -> dict[str, object]:
        """`{"name", "inputs", "outputs", "total": {…}, "layers": [{…}]}` with the keys of `mnet summary`."""
        return {
            "name": self.name,
            "inputs": [_port_json(port) for port in self.inputs],
            "outputs": [_port_json(port) for port in self.outputs],
            "total": {
                "parameters": self.parameters,
                "macs": self.macs,
                "statistics": self.statistics,
                "weight_bytes": self.weight_bytes,
                "activation_bytes": self.activation_bytes,
                "layers": len(self.layers),
            },
            "layers": [
                {
                    "name": layer.name,
                    "op": layer.op,
                    "shape": list(layer.shape),
                    "element": layer.element,
                    "parameters": layer.parameters,
                    "macs": layer.macs,
                    "activation_bytes": layer.activation_bytes,
                    "inputs": list(layer.inputs),
                    "place": layer.place,
                }
                for layer in self.layers
            ],
        }


def _port_json(port: PortType) -> dict[str, object]:
    return {"name": port.name, "shape": list(port.shape), "element": port.element}


def summarize(module: Module) -> Summary:
    """The costs of `module`, normally as written: folding changes who holds a parameter, not how many there are."""
    stated = {name for name, derivation in module.derived.items() if derivation.function == NUMBERS}
    counted = set(stated)
    names = {port.value: port.name for port in module.graph.inputs}
    layers: list[LayerCost] = []
    statistics = 0
    for op in module.graph.operations:
        if isinstance(op, Constant):
            continue
        parameters, measured = _count(op, counted)
        statistics += measured
        names[op.result] = op.name
        layers.append(
            LayerCost(
                name=op.name,
                op=op.opcode,
                shape=op.type.shape[1:],
                element=_element(op.type),
                parameters=parameters,
                macs=multiply_accumulates(op),
                activation_bytes=op.type.byte_size,
                inputs=tuple(names[value] for value in op.operands if value in names),
                place=str(op.location),
            )
        )
    constants = {op.resource: op.type.byte_size for op in module.graph.operations if isinstance(op, Constant)}
    for name in stated:
        constants.pop(name, None)
    return Summary(
        name=module.name,
        inputs=tuple(PortType(p.name, p.value.type.shape[1:], _element(p.value.type)) for p in module.graph.inputs),
        outputs=tuple(PortType(p.name, p.value.type.shape[1:], _element(p.value.type)) for p in module.graph.outputs),
        layers=tuple(layers),
        statistics=statistics,
        weight_bytes=sum(constants.values()),
    )


def _count(op: Op, counted: set[str]) -> tuple[int, int]:
    """Elements of the constants that `op` is first to read: trained parameters, and statistics."""
    parameters = statistics = 0
    for definition in op.operand_defs:
        for value in op.operand_group(definition.name):
            constant = value.producer
            if not isinstance(constant, Constant) or constant.resource in counted:
                continue
            counted.add(constant.resource)
            if (op.opcode, definition.name) in _STATISTICS:
                statistics += constant.type.elements
            else:
                parameters += constant.type.elements
    return parameters, statistics


def _element(type: TensorType) -> str:
    """As the language spells it: `u8`, `f32`."""
    return type.element.value.replace("ui", "u")
