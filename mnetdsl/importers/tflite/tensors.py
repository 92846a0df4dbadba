"""Arrays of the weight file, rows of the table `quantization`, and which layer is which tensor of the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePath

import numpy as np

from mnetdsl.importers.tflite.flat import Array
from mnetdsl.importers.tflite.graph import KEEPS_STORAGE, Constant, ImportGraph, Layer, Storage
from mnetdsl.importers.tflite.match import Names, NotTheSameError
from mnetdsl.importers.tflite.network_text import Row
from mnetdsl.weights.expected import Expected

FORMAT = "mnetdsl tensors 1"


def weight_arrays(graph: ImportGraph, names: Names, expected: Mapping[str, Expected]) -> dict[str, Array]:
    """Arrays by key, as docs/decisions/0007 has them for quantized networks, and float32 for others.

    Raises `NotTheSameError` where they are not what the built network asks for.
    """
    arrays: dict[str, Array] = {}
    for layer in graph.layers:
        name = names.layers[layer.output]
        quantized = graph.values[layer.output].storage is not None
        if layer.filter is not None:
            arrays |= _of_layer(name, layer, layer.filter, quantized)
        for resource, constant in zip(names.constants[layer.output], layer.constants.values(), strict=False):
            if resource in expected:
                shape = expected[resource].type.shape
                arrays[resource] = (constant.array if quantized else constant.real()).reshape(shape)
    if set(arrays) != set(expected):
        wrong = sorted(set(arrays) ^ set(expected))[0]
        raise NotTheSameError(f"`{wrong}` is {'not asked for' if wrong in arrays else 'missing'}")
    for key, array in arrays.items():
        type = expected[key].type
        if (array.shape, array.dtype) != (type.shape, np.dtype(type.element.dtype)):
            raise NotTheSameError(f"`{key}` is {array.dtype} {array.shape}, the network asks for {type}")
    return {key: np.ascontiguousarray(array) for key, array in arrays.items()}


def _of_layer(name: str, layer: Layer, filter: Constant, quantized: bool) -> dict[str, Array]:
    if not quantized:
        found = {f"{name}.weight": filter.real()}
        if layer.bias is not None:
            found[f"{name}.bias"] = layer.bias.real()
        return found
    assert filter.quantization is not None
    found = {
        f"{name}.weight": filter.array,
        f"{name}.weight_scale": np.array(filter.quantization.scales, np.float32),
    }
    if filter.element == "UINT8":
        found[f"{name}.weight_zero_point"] = np.array(filter.quantization.zero_points[:1], np.uint8)
    if layer.bias is not None:
        found[f"{name}.bias"] = layer.bias.array
    return found


def table_rows(graph: ImportGraph, names: Names, needed: list[str]) -> list[Row]:
    """Rows for the tensors `needed` by the quantized graph, in that order, then those that are stored anew and the
    conversions at outputs."""
    by_name: dict[str, tuple[Storage | None, bool]] = {
        port.name: (graph.values[port.value].storage, False) for port in graph.inputs
    }
    again: dict[str, Storage] = {}
    for layer in graph.layers:
        name = names.layers[layer.output]
        storage = graph.values[layer.output].storage
        by_name[name] = (storage, _per_tensor(layer))
        if layer.output in graph.requantized:
            again[name] = graph.requantized[layer.output].storage
        resources = [key for key in names.constants[layer.output] if not layer.weighted]
        for resource, constant in zip(resources, layer.constants.values(), strict=False):
            by_name[resource] = (constant.storage, False)
    rows = []
    for name in needed:
        storage, per_tensor = by_name[name]
        if storage is not None:
            rows.append(_row(name, storage, per_tensor))
    rows += [_row(name, storage, False) for name, storage in again.items() if name not in needed]
    for output in graph.outputs:
        if isinstance(output.row, Storage):
            rows.append(_row(f"output {output.name}", output.row, False))
        elif output.row is not None:
            rows.append(Row(f"output {output.name}", output.row, 1.0, 0))
    return rows


def lost_layers(graph: ImportGraph, names: Names, needed: list[str]) -> Iterator[Layer]:
    """Layers that the quantized graph has not, though they store their result anew: clamps behind a layer that is
    stored with other numbers."""
    kept = set(needed)
    for layer in graph.layers:
        storage = graph.values[layer.output].storage
        moved = layer.operation in KEEPS_STORAGE or storage == graph.storage(layer.inputs[0])
        if storage is not None and not moved and names.layers[layer.output] not in kept:
            yield layer


def _row(name: str, storage: Storage, per_tensor: bool) -> Row:
    return Row(name, storage.element, storage.scale, storage.zero_point, per_tensor)


def _per_tensor(layer: Layer) -> bool:
    if layer.filter is None or layer.filter.quantization is None:
        return False
    outputs = layer.filter.array.shape[-1] * (
        layer.filter.array.shape[-2] if layer.operation == "depthwise_conv2d" else 1
    )
    return len(layer.filter.quantization.scales) == 1 and outputs > 1


def tensor_map(graph: ImportGraph, names: Names, source: str, data: bytes) -> bytes:
    """What `mnet validate --against` compares: layers and outputs -> numbers of tensors in the file, as JSON."""
    layers = {f"{port.name}.quantize": port.stored for port in graph.inputs if port.stored is not None}
    for layer in graph.layers:
        tensor = graph.values[layer.output].tensor
        if tensor is None:
            continue
        layers[names.layers[layer.output]] = tensor
        if layer.output in graph.requantized:
            layers[f"{names.layers[layer.output]}.requantize"] = graph.requantized[layer.output].tensor
    described: Mapping[str, object] = {
        "format": FORMAT,
        "source": PurePath(source).name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "inputs": {
            port.name: {
                "tensor": port.tensor,
                "element": port.element.lower(),
                "mean": list(port.mean),
                "std": list(port.std),
                "channels_first": port.channels_first,
            }
            for port in graph.inputs
        },
        "outputs": {output.name: output.tensor for output in graph.outputs},
        "layers": layers,
    }
    return (json.dumps(described, indent=1) + "\n").encode()
