"""How the values of a QDQ network are stored: what QuantizeLinear says of the layers in front of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnetdsl.importers.onnx.flat import Node
from mnetdsl.importers.onnx.folding import check_scales
from mnetdsl.importers.tflite.flat import FlatQuantization
from mnetdsl.importers.tflite.graph import (
    KEEPS_STORAGE,
    Constant,
    ImportOutput,
    Layer,
    Requantized,
    Storage,
    Value,
)
from mnetdsl.importers.tflite.operators import NotSupportedError

ELEMENTS = {"uint8": "u8", "int8": "i8", "int16": "i16", "uint16": "i16"}
"""Types of zero points -> what tensors are stored as; uint16 is shifted to int16."""
KINDS = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16"}
SHIFTED = 128
PASSES = ("relu", "relu6", "clamp", "reshape", "transpose", "slice", "max_pool", "pad")
"""Operations in front of a QuantizeLinear whose input may as well be stored like their result."""
BITS = 32
ACCUMULATOR = 2**31 - 1
WHOLE = "quantize the whole network: what is in front of a layer and what is behind it"


def storage_of(node: Node, scale: Constant | None, point: Constant | None) -> Storage:
    """The numbers of a QuantizeLinear or DequantizeLinear of a tensor of the network."""
    if scale is None or scale.array.size != 1 or (point is not None and point.array.size != 1):
        raise NotSupportedError("its scale is no constant, or one of several", "quantize activations per tensor")
    check_scales(scale.array.astype(np.float64))
    kind = KINDS.get(node.integer("output_dtype", 2), "") if point is None else point.array.dtype.name
    element = ELEMENTS.get(kind)
    if element is None:
        raise NotSupportedError(f"it stores {kind or 'something else'}", "quantize activations to 8 or 16 bits")
    zero = 0 if point is None else int(point.array.reshape(-1)[0])
    zero -= 32768 if kind == "uint16" else 0
    if element == "i16" and zero:
        remedy = "quantize symmetrically: quantize_static(…, extra_options={'ActivationSymmetric': True})"
        raise NotSupportedError("it has 16 bits and a zero point", remedy)
    return Storage(element, float(np.float32(scale.array.reshape(-1)[0])), zero)


class Stores:
    """Values and layers of a graph under construction, and how each value is stored."""

    def __init__(self, values: dict[int, Value], layers: list[Layer]) -> None:
        self.values = values
        self.layers = layers
        self.requantized: dict[int, Requantized] = {}
        self.shared: set[int] = set()
        """Values that several operators read, or an output."""

    def storage(self, value: int) -> Storage | None:
        again = self.requantized.get(value)
        return self.values[value].storage if again is None else again.storage

    def keep(self, layer: Layer) -> None:
        """The numbers of a new layer's result, where it only moves what is stored already."""
        if layer.operation in KEEPS_STORAGE:
            self._set(layer.output, self.storage(layer.inputs[0]))

    def store(self, value: int, storage: Storage) -> None:
        """`value` is stored so from here on. Raises `NotSupportedError` where it is stored otherwise already."""
        before = self.storage(value)
        if before == storage:
            return
        maker = next((layer for layer in self.layers if layer.output == value), None)
        if before is None:
            self._set(value, storage)
            self._store_in_front(maker, storage)
            return
        moved = maker is not None and maker.operation in KEEPS_STORAGE
        if not moved or value in self.requantized or value in self.shared:
            raise NotSupportedError(
                "it stores the result of a layer a second time with other numbers",
                "quantize the network so that this layer has one scale",
            )
        self.requantized[value] = Requantized(storage, -1)

    def _store_in_front(self, layer: Layer | None, storage: Storage) -> None:
        while layer is not None and layer.operation in PASSES:
            (source,) = layer.inputs
            if self.storage(source) is not None or source in self.shared:
                return
            self._set(source, storage)
            layer = next((each for each in self.layers if each.output == source), None)

    def _set(self, value: int, storage: Storage | None) -> None:
        self.values[value] = replace(self.values[value], storage=storage)

    # When the whole graph is known

    def shift_to_signed(self) -> bool:
        """uint8 tensors become int8 where no filter needs the unsigned form: 128 less in every number, nothing else.

        Returns whether anything was shifted.
        """
        unsigned = [
            value for value in self.values.values() if value.storage is not None and value.storage.element == "u8"
        ]
        if not unsigned or not all(_signed(layer.filter) for layer in self.layers if layer.filter is not None):
            return False
        for value in unsigned:
            assert value.storage is not None
            self._set(value.number, signed(value.storage))
        for number, again in self.requantized.items():
            self.requantized[number] = replace(again, storage=signed(again.storage))
        for place, layer in enumerate(self.layers):
            constants = {position: _signed_constant(constant) for position, constant in layer.constants.items()}
            self.layers[place] = replace(layer, constants=constants)
        return True

    def finished(self, layer: Layer) -> Layer:
        """`layer` with its weights as they are stored. Raises `NotSupportedError` where one side of it is real."""
        stored = {self.storage(value) for value in layer.inputs}
        result = self.values[layer.output].storage
        if layer.operation != "argmax" and any((item is None) != (result is None) for item in stored):
            raise NotSupportedError("one side of it is quantized and the other is not", WHOLE)
        if result is not None:
            constants = {place: _stored_number(found, result) for place, found in layer.constants.items()}
            layer = replace(layer, constants=constants)
        if result is not None and layer.operation == "matmul":
            raise NotSupportedError("the language multiplies matrices in float only", "leave attention out")
        if layer.operation == "softmax" and any(item is not None and item.element == "i16" for item in stored):
            raise NotSupportedError("it is a softmax of 16 bits", "store what it reads in 8 bits")
        if result is None:
            constants = {place: Constant(found.real(), "FLOAT32") for place, found in layer.constants.items()}
            return replace(layer, constants=constants)
        if layer.filter is None:
            return layer
        source = next(iter(stored))
        assert source is not None
        filter = _stored_filter(layer.filter, source)
        bias = _stored_bias(layer.bias, filter, source)
        return replace(layer, filter=filter, bias=bias) if bias is None else with_room(layer, filter, bias, source)


def signed(storage: Storage) -> Storage:
    if storage.element != "u8":
        return storage
    return Storage("i8", storage.scale, storage.zero_point - SHIFTED)


def caller_storage(output: ImportOutput, shown: Storage | None, element: str) -> ImportOutput:
    """The output with a conversion at the very end where the file gives its caller other numbers than `shown`."""
    if shown is None:
        return output
    if element == "FLOAT":
        return replace(output, row="f32")
    if element == "UINT8" and shown.element == "i8":
        return replace(output, row=Storage("u8", shown.scale, shown.zero_point + SHIFTED))
    return output


def _signed(filter: Constant) -> bool:
    found = filter.quantization
    if found is None:
        return True
    points = set(found.zero_points)
    return points == {0} if filter.element == "INT8" else points == {SHIFTED}


def _signed_constant(constant: Constant) -> Constant:
    found = constant.quantization
    if found is None or constant.element != "UINT8":
        return constant
    points = tuple(point - SHIFTED for point in found.zero_points)
    array = (constant.array.astype(np.int16) - SHIFTED).astype(np.int8)
    return Constant(array, "INT8", FlatQuantization(found.scales, points, found.axis), constant.name)


def _stored_number(constant: Constant, result: Storage) -> Constant:
    """One number that the file leaves real beside stored ones: as the largest number of its own grid."""
    if constant.storage is not None:
        return constant
    if constant.array.size != 1 or result.element == "i16":
        raise NotSupportedError("its constant operand is not quantized", WHOLE)
    number = float(constant.real().reshape(-1)[0])
    unsigned = result.element == "u8"
    span = 255 if unsigned else 127
    zero = 255 if unsigned and number < 0 else 0
    scale = float(np.float32(abs(number) / span)) if number else 1.0
    stored = zero + span * int(np.sign(number))
    array = np.array([stored], np.uint8 if unsigned else np.int8)
    return Constant(array, "UINT8" if unsigned else "INT8", FlatQuantization((scale,), (zero,), 0))


def _stored_filter(filter: Constant, source: Storage) -> Constant:
    """The filter in the type that goes with its activations; bytes are shifted where the file has the other sign."""
    found = filter.quantization
    if found is None or filter.element not in ("INT8", "UINT8"):
        raise NotSupportedError("its weights are not of 8 bits in a quantized network", WHOLE)
    unsigned = source.element == "u8"
    points = found.zero_points
    array = filter.array
    if (filter.element == "UINT8") != unsigned:
        shift = SHIFTED if unsigned else -SHIFTED
        points = tuple(point + shift for point in points)
        array = (array.astype(np.int16) + shift).astype(np.uint8 if unsigned else np.int8)
    if len(set(points)) > 1 or (unsigned and len(points) > 1) or (not unsigned and points[0] != 0):
        remedy = "quantize it again: int8 weights, symmetric, with int8 or uint8 activations"
        raise NotSupportedError("its filter has zero points that do not go with its input", remedy)
    quantization = FlatQuantization(found.scales, points, found.axis)
    return Constant(array, "UINT8" if unsigned else "INT8", quantization, filter.name)


def _stored_bias(bias: Constant | None, filter: Constant, source: Storage) -> Constant | None:
    """int32 at input scale times filter scale (int64 behind 16 bits); rounded where the file has another scale."""
    if bias is None:
        return None
    assert filter.quantization is not None
    scales = np.float32(source.scale) * np.array(filter.quantization.scales, np.float32)
    wide = source.element == "i16"
    kind, element = (np.int64, "INT64") if wide else (np.int32, "INT32")
    found = bias.quantization
    same = (
        found is not None
        and bias.element == "INT32"
        and not any(found.zero_points)
        and np.allclose(np.array(found.scales), scales, rtol=1e-5, atol=0.0)
    )
    if same:
        return Constant(bias.array.astype(kind), element, None, bias.name)
    steps = np.rint(bias.real().astype(np.float64) / scales.astype(np.float64))
    limit = float(np.iinfo(np.int32).max)
    if not np.isfinite(steps).all() or (np.abs(steps) > limit).any():
        raise NotSupportedError("its bias does not fit into 32 bits at the scale of its weights", WHOLE)
    return Constant(steps.astype(kind), element, None, bias.name)


def with_room(layer: Layer, filter: Constant, bias: Constant, source: Storage) -> Layer:
    """The layer with larger scales in channels whose sums could leave 32 bits.

    Tools give channels without weights a scale so small that their bias nearly fills its type. Half of the bias at
    twice the scale is the same number to 2^-29 of itself.
    """
    assert filter.quantization is not None
    scales = np.array(filter.quantization.scales, np.float32)
    depthwise = layer.operation == "depthwise_conv2d"
    outputs = filter.array.shape[-1] * (filter.array.shape[-2] if depthwise else 1)
    if source.element != "i8" or scales.size != outputs:
        return replace(layer, filter=filter, bias=bias)
    low, high = source.bounds
    reach = max(high - source.zero_point, source.zero_point - low)
    weights = filter.array.reshape(-1, outputs).astype(np.int64)
    halvings = np.zeros(outputs, np.int64)
    offset = bias.array.astype(np.int64)
    for _ in range(BITS):
        full = np.abs(weights).sum(axis=0) * reach + np.abs(offset) > ACCUMULATOR
        if not full.any():
            break
        halvings += full
        weights = np.where(full, np.rint(weights / 2).astype(np.int64), weights)
        offset = np.where(full, np.rint(offset / 2).astype(np.int64), offset)
    larger = tuple((scales * np.float32(2.0) ** halvings.astype(np.float32)).astype(np.float32).tolist())
    quantization = FlatQuantization(larger, filter.quantization.zero_points, filter.quantization.axis)
    array = weights.astype(np.int8).reshape(filter.array.shape)
    return replace(
        layer,
        filter=Constant(array, filter.element, quantization, filter.name),
        bias=Constant(offset.astype(np.int32), bias.element, None, bias.name),
    )
