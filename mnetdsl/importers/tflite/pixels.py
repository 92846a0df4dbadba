"""What a network's input is in pixels: `mean` and `std` from scales, metadata, or what the user says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.importers.tflite.flat import FlatModel, FlatOperator, FlatTensor
from mnetdsl.importers.tflite.graph import ImportInput
from mnetdsl.importers.tflite.metadata import Metadata
from mnetdsl.importers.tflite.problems import unsupported_model

IMAGE_CHANNELS = (1, 3)
ASSUMED = 127.5
FLOAT32_PRECISION = 2.0**-23


@dataclass(frozen=True)
class Pixels:
    """`mean` and `std` as the user gives them, empty where not, and the metadata of the file."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)


@dataclass(frozen=True)
class Head:
    """What stands between an input and the network: a QUANTIZE, and a TRANSPOSE from channels first to channels last.

    `last` is the tensor behind them.
    """

    last: int
    quantize: FlatOperator | None = None
    channels_first: bool = False
    operators: tuple[int, ...] = ()


def input_of(model: FlatModel, number: int, place: int, head: Head, pixels: Pixels, notes: list[str]) -> ImportInput:
    """The declaration of input `number`; `notes` says what is assumed."""
    tensor = model.tensors[number]
    if head.channels_first and len(tensor.shape) == 4:
        batch, channels, height, width = tensor.shape
        tensor = replace(tensor, shape=(batch, height, width, channels))
    image = len(tensor.shape) == 4 and tensor.shape[3] in IMAGE_CHANNELS
    name = "image" if image and place == 0 else f"data_{place + 1}" if place else "data"
    if tensor.shape[:1] != (1,):
        why = f"its input {tensor} has not one image"
        raise unsupported_model(model.path, why, "convert the network for one image of a fixed size")
    if len(tensor.shape) < 2 or 0 in tensor.shape:
        raise unsupported_model(model.path, f"its input {tensor} has no fixed size", "convert it for a fixed size")
    mean, std = _normalization(model, tensor, head.quantize, pixels, image, name, notes)
    for what, numbers in (("mean", mean), ("std", std)):
        if len(numbers) not in (0, 1, tensor.shape[-1]):
            raise MnetError(
                error(
                    "MN0605",
                    f"`{what}` has {len(numbers)} numbers, the image has {tensor.shape[-1]} channels",
                    location=model.path,
                    help=f"give one number, or {tensor.shape[-1]}",
                )
            )
    quantized = tensor.element in ("UINT8", "INT8") or head.quantize is not None
    stored = head.last if quantized else None
    return ImportInput(
        name, number, tensor.shape, image, mean, std, number, tensor.element, stored, head.channels_first
    )


def _normalization(
    model: FlatModel,
    tensor: FlatTensor,
    quantize: FlatOperator | None,
    pixels: Pixels,
    image: bool,
    name: str,
    notes: list[str],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if tensor.element in ("UINT8", "INT8"):
        if tensor.quantization is None:
            raise unsupported_model(model.path, f"its input {tensor} has no scale", "convert the network again")
        if not image:
            raise unsupported_model(
                model.path, f"its input {tensor} is quantized, and no image", "convert it with a float input"
            )
        if pixels.mean or pixels.std:
            notes.append(f"`{name}`: --mean and --std mean nothing here: the scale of the quantized input says both")
        return _of_storage(tensor)
    if tensor.element != "FLOAT32":
        raise unsupported_model(
            model.path,
            f"its input {tensor} is {tensor.element.lower()}",
            "convert it with a float, uint8 or int8 input",
        )
    if not image:
        return (), ()
    if pixels.mean or pixels.std:
        return pixels.mean or (0.0,), pixels.std or (1.0,)
    if pixels.metadata.mean and pixels.metadata.std:
        return pixels.metadata.mean, pixels.metadata.std
    if quantize is not None:
        behind = model.tensors[quantize.outputs[0]]
        if behind.quantization is not None and behind.element in ("UINT8", "INT8"):
            notes.append(f"`{name}`: mean and std are those that make each pixel one step of {behind}")
            return _of_storage(behind)
    notes.append(
        f"`{name}`: the file does not say how pixels are normalized; mean and std of {ASSUMED} are an assumption, "
        "give others by --mean and --std"
    )
    return (ASSUMED,), (ASSUMED,)


def _of_storage(tensor: FlatTensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """A pixel p is stored as p - 128 in int8 and as p in uint8: real = (stored - zero point) * scale."""
    assert tensor.quantization is not None
    zero_point = tensor.quantization.zero_points[0] + (128 if tensor.element == "INT8" else 0)
    return (float(zero_point),), (shortest(1.0 / tensor.quantization.scales[0]),)


def shortest(value: float) -> float:
    """The decimal with fewest digits that is `value` as precisely as float32 knows it."""
    for digits in range(7):
        rounded = round(value, digits)
        if abs(rounded - value) <= abs(value) * FLOAT32_PRECISION:
            return rounded
    return float(str(np.float32(value)))
