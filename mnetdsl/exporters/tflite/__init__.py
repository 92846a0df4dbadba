"""Networks as TensorFlow Lite files, float or quantized, with the schema that the package `ai-edge-litert` carries.

written = write_tflite(mnetdsl.load("vww.mnet").with_weights().module)
Path("vww.tflite").write_bytes(written.data)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnetdsl.exporters.inputs import ExportedInput, exported_inputs, labels_of
from mnetdsl.exporters.layers import write_layers
from mnetdsl.exporters.tflite.metadata import ENTRY, TensorNote, packed_labels, packed_metadata
from mnetdsl.exporters.tflite.rules import RULES
from mnetdsl.exporters.tflite.widths import widths
from mnetdsl.exporters.tflite.writer import Writer
from mnetdsl.ir.core import Module, Op

__all__ = ["Written", "to_tflite", "write_tflite"]

FORMAT = "mnetdsl tensors 1"
NAME = "TensorFlow Lite"


@dataclass(frozen=True)
class Written:
    """`data` is the file; `layers` and `outputs` say which of its tensors is which layer, `inputs` what it is given."""

    data: bytes
    inputs: Sequence[ExportedInput]
    numbers: Mapping[str, int]
    layers: Mapping[str, int]
    outputs: Mapping[str, int]

    def tensor_map(self, source: str) -> bytes:
        """What `mnet validate --against` needs beside the file, as JSON; `source` is the file's name."""
        described: Mapping[str, object] = {
            "format": FORMAT,
            "source": source,
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "inputs": {
                found.port.name: {
                    "tensor": self.numbers[found.port.name],
                    "element": found.type.element.dtype,
                    "mean": list(found.mean),
                    "std": list(found.std),
                    "channels_first": False,
                    **_storage(found),
                }
                for found in self.inputs
            },
            "outputs": dict(self.outputs),
            "layers": dict(self.layers),
        }
        return (json.dumps(described, indent=1) + "\n").encode()


def _storage(found: ExportedInput) -> dict[str, object]:
    """How the caller stores pixels, where it is neither the pixel nor the pixel less 128."""
    numbers = found.type.quantization
    if found.pixels or not found.std or numbers is None:
        return {}
    return {"scale": numbers.scale[0], "zero_point": numbers.zero_point[0]}


def to_tflite(module: Module) -> bytes:
    """The bytes that `write_tflite` gives."""
    return write_tflite(module).data


def write_tflite(module: Module, *, stored_inputs: bool = False) -> Written:
    """`module` with its weights, for one image.

    module: float (stage `folded`, or as `quantize.apply.quantizable` gives it) or quantized (`api.Network.module` of a
    deployment with a table). Images are given normalized, float32 [1, H, W, C], with mean and std in the metadata, or
    as the network stores their pixels; `exporters.inputs` says which, and what `stored_inputs` changes.
    Quantized layers have the operators whose reference kernels compute the interpreter's bits.
    Raises `MnetError`: MN2101 for a layer that the format has not, MN2102, MN0720 without weights.
    """
    writer = Writer(module)
    inputs = exported_inputs(module, stored=stored_inputs)
    skipped = {op for found in inputs for op in found.skipped}
    numbers: dict[str, int] = {}
    layers: dict[str, int] = {}
    for found in inputs:
        numbers[found.port.name] = tensor = writer.tensor(found.type, found.port.name)
        writer.numbers |= dict.fromkeys(found.values, tensor)
        layers |= {op.name: tensor for op in found.skipped if op.opcode == "quantize"}

    def write(op: Op) -> None:
        writer.layer = op.name
        chosen = widths(op)
        writer.wide, writer.result = chosen.wide, chosen.result
        tensor = RULES[op.opcode](op, writer)
        if chosen.result != op.type:
            writer.wide = False
            tensor = writer.node("QUANTIZE", [tensor], op.type)
        writer.numbers[op.result] = layers[op.name] = tensor

    write_layers(module, NAME, RULES, skipped, writer.arrays, write)
    outputs = {port.name: writer.numbers[port.value] for port in module.graph.outputs}
    writer.signature(numbers, outputs)
    notes = [TensorNote(found.port.name, found.mean, found.std) for found in inputs]
    ends = [TensorNote(port.name, labels=labels_of(port)) for port in module.graph.outputs]
    writer.metadata(ENTRY, packed_metadata(module.name, notes, ends))
    return Written(writer.packed() + packed_labels(ends), inputs, numbers, layers, outputs)
