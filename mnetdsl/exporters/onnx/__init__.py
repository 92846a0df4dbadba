"""Networks as ONNX files: float ones as PyTorch exports them, quantized ones in the QDQ form of onnxruntime.

The graph is NCHW inside, as the kernels of most engines are.

data = write_onnx(mnetdsl.load("net.mnet").with_weights().module)
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import helper

from mnetdsl.exporters.inputs import ExportedInput, exported_inputs, labels_of
from mnetdsl.exporters.layers import write_layers
from mnetdsl.exporters.onnx.rules import RULES
from mnetdsl.exporters.onnx.writer import ELEMENTS, FIRST, LAST, Writer, channels_first
from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.types import ElementType

__all__ = ["to_onnx", "write_onnx"]

NAME = "ONNX"
OPSET = 20
WIDE_OPSET = 21
"""The first with int16 in QuantizeLinear."""
IR_VERSION, WIDE_IR_VERSION = 9, 10
PREFIX = "mnetdsl"
"""Of the entries of the file's metadata: `mnetdsl.INPUT.mean` and `.std` of pixels, and `mnetdsl.OUTPUT.labels`."""


def to_onnx(module: Module, *, channels_first: bool = False) -> bytes:
    """A float `module` with its weights, for batch 1, with the preprocessing inside that it declares.

    Its inputs are images that are normalized first, or float32. `channels_first`: float32 inputs of rank 4 are
    [1, C, H, W] outside as well, which spares engines a transposition.
    Raises `MnetError`: MN2101 for a layer that the format has not, MN0720 without weights.
    """
    inputs = [ExportedInput(port, port.value.type, (port.value,)) for port in module.graph.inputs]
    return _model(module, inputs, channels_first)


def write_onnx(module: Module, *, stored_inputs: bool = False) -> bytes:
    """`module` with its weights, for one image, channels first outside as inside.

    module: float (stage `folded`, or as `quantize.apply.quantizable` gives it) or quantized (`api.Network.module` of a
    deployment with a table). Images are given normalized, float32 [1, C, H, W], with mean and std in the metadata, or
    as the network stores their pixels; `exporters.inputs` says which, and what `stored_inputs` changes.
    Quantized layers stand between DequantizeLinear and QuantizeLinear, outputs are stored numbers where the network's
    are.
    Raises `MnetError`: MN2101 for a layer that the format has not, MN2102, MN0720 without weights.
    """
    return _model(module, exported_inputs(module, stored=stored_inputs), True)


def _model(module: Module, inputs: Sequence[ExportedInput], first: bool) -> bytes:
    writer = Writer(module)
    names = [writer.distinct(port.name) for port in module.graph.outputs]
    infos = [_input(found, writer, first) for found in inputs]
    skipped = {op for found in inputs for op in found.skipped}

    def write(op: Op) -> None:
        writer.layer = op.name
        tensor = RULES[op.opcode](op, writer)
        if op.type.quantization is None:
            writer.names[op.result] = tensor
        else:
            writer.stored[op.result] = writer.quantized(tensor, op.type)

    write_layers(module, NAME, RULES, skipped, writer.arrays, write)
    outputs = _outputs(module, names, writer, first)
    graph = helper.make_graph(writer.nodes, module.name, infos, outputs, writer.initializers)
    wide = any(op.type.element is ElementType.I16 for op in module.graph.operations)
    opset = helper.make_opsetid("", WIDE_OPSET if wide else OPSET)
    version = WIDE_IR_VERSION if wide else IR_VERSION
    model = helper.make_model(graph, opset_imports=[opset], ir_version=version, producer_name=PREFIX)
    for found in inputs:
        for key, values in (("mean", found.mean), ("std", found.std)):
            if values:
                entry = model.metadata_props.add()
                entry.key, entry.value = f"{PREFIX}.{found.port.name}.{key}", " ".join(map(repr, values))
    for port in module.graph.outputs:
        if labels_of(port):
            entry = model.metadata_props.add()
            entry.key, entry.value = f"{PREFIX}.{port.name}.labels", "\n".join(labels_of(port))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _input(found: ExportedInput, writer: Writer, first: bool) -> onnx.ValueInfoProto:
    type, name = found.type, writer.distinct(found.port.name)
    is_map = len(type.shape) == 4 and (type.element.is_float or bool(found.skipped))
    shape = channels_first(type.shape) if is_map and first else type.shape
    writer.layer = name
    tensor = writer.node("Transpose", name, perm=list(FIRST)) if is_map and not first else name
    known = writer.names if type.quantization is None else writer.stored
    known |= dict.fromkeys(found.values, tensor)
    return helper.make_tensor_value_info(name, ELEMENTS[type.element], shape)


def _outputs(module: Module, names: Sequence[str], writer: Writer, first: bool) -> list[onnx.ValueInfoProto]:
    """Outputs under their names; those that are maps are channels last outside unless all is channels first."""
    infos = []
    for port, name in zip(module.graph.outputs, names, strict=True):
        value = port.value
        tensor = writer.stored.get(value) or writer.operand(value)
        writer.layer = port.name
        last = value.type.rank == 4 and not first
        kind, attributes = ("Transpose", {"perm": list(LAST)}) if last else ("Identity", {})
        writer.nodes.append(helper.make_node(kind, [tensor], [name], name=f"{name}/{kind}", **attributes))
        shape = value.type.shape if last else channels_first(value.type.shape)
        infos.append(helper.make_tensor_value_info(name, ELEMENTS[value.type.element], shape))
    return infos
