"""What an ONNX network's inputs are in the language: images channels last, `mean` and `std` of their pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.importers.onnx.context import NCHW
from mnetdsl.importers.onnx.flat import Array, FlatPort, OnnxModel
from mnetdsl.importers.onnx.views import View, whole
from mnetdsl.importers.tflite.graph import ImportInput, Storage
from mnetdsl.importers.tflite.pixels import IMAGE_CHANNELS, shortest
from mnetdsl.importers.tflite.problems import unsupported_model
from mnetdsl.ir.types import Shape

METADATA = "mnetdsl"
"""Prefix of the entries in which `mnet export` says how pixels are normalized."""
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""What the networks of torchvision and timm are mostly trained on."""
ASSUMED = 127.5
BYTES = ("UINT8", "INT8")


@dataclass
class FoundInput:
    """An input while the graph is walked. `factors` and `shifts` are what the file itself does to the pixels."""

    number: int
    name: str
    port: FlatPort
    shape: Shape
    view: View
    channels_first: bool
    factors: Array = field(default_factory=lambda: np.ones(1))
    shifts: Array = field(default_factory=lambda: np.zeros(1))

    @property
    def image(self) -> bool:
        return len(self.shape) == 4 and self.shape[3] in IMAGE_CHANNELS

    @property
    def pixels(self) -> bool:
        """Whether the file is given bytes, and normalizes them itself."""
        return self.image and self.port.element == "UINT8"


def found_inputs(model: OnnxModel) -> list[FoundInput]:
    """Raises `MnetError` MN1705 for inputs of several images, of a free size, or of another type."""
    return [_found(model, port, number) for number, port in enumerate(model.inputs)]


def _found(model: OnnxModel, port: FlatPort, number: int) -> FoundInput:
    called = f"its input `{port.name}` {'x'.join(str(size or '?') for size in port.shape)} {port.element.lower()}"
    shape = (port.shape[0] or 1, *port.shape[1:]) if port.shape else ()
    if len(shape) < 2 or 0 in shape:
        raise unsupported_model(model.path, f"{called} has no fixed size", "export it with inputs of a fixed size")
    if shape[0] != 1:
        raise unsupported_model(model.path, f"{called} has not one image", "export the network for one image")
    if port.element not in ("FLOAT", "FLOAT16", *BYTES):
        remedy = "export it with a float, uint8 or int8 input"
        raise unsupported_model(model.path, f"{called} is of another type", remedy)
    first = len(shape) == 4 and (shape[1] in IMAGE_CHANNELS or shape[3] not in IMAGE_CHANNELS)
    order = NCHW if first else tuple(range(len(shape)))
    own = (shape[0], shape[2], shape[3], shape[1]) if first else shape
    image = len(own) == 4 and own[3] in IMAGE_CHANNELS
    name = "image" if image and number == 0 else f"data_{number + 1}" if number else "data"
    if port.element in BYTES and not image:
        raise unsupported_model(model.path, f"{called} is no image", "export it with a float input")
    return FoundInput(number, name, port, own, whole(number, own, order), first)


def import_input(
    found: FoundInput,
    storage: Storage | None,
    model: OnnxModel,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    notes: list[str],
) -> ImportInput:
    """The declaration; `storage` is how the network stores the pixels. What is assumed stands in `notes`."""
    means, stds = _normalization(found, storage, model, mean, std, notes) if found.image else ((), ())
    for what, numbers in (("mean", means), ("std", stds)):
        if len(numbers) not in (0, 1, found.shape[-1]):
            raise MnetError(
                error(
                    "MN0605",
                    f"`{what}` has {len(numbers)} numbers, the image has {found.shape[-1]} channels",
                    location=model.path,
                    help=f"give one number, or {found.shape[-1]}",
                )
            )
    return ImportInput(
        found.name,
        found.number,
        found.shape,
        found.image,
        means,
        stds,
        found.number,
        found.port.element,
        found.number if storage is not None else None,
        found.channels_first,
    )


def _normalization(
    found: FoundInput,
    storage: Storage | None,
    model: OnnxModel,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    notes: list[str],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if storage is not None and found.port.element in BYTES:
        return _of_storage(storage)
    if found.pixels:
        factors, shifts = np.broadcast_arrays(found.factors, found.shifts)
        return _numbers(-shifts / factors), _numbers(1.0 / factors)
    if mean or std:
        return mean or (0.0,), std or (1.0,)
    said = [_said(model.metadata, f"{METADATA}.{found.port.name}.{key}") for key in ("mean", "std")]
    if all(said) and min(said[1]) > 0:
        return said[0], said[1]
    if storage is not None and storage.element != "i16":
        notes.append(f"`{found.name}`: mean and std are those that make each pixel one step of the quantized input")
        return _of_storage(storage)
    found_mean, found_std = IMAGENET if found.shape[-1] == 3 and found.channels_first else ((ASSUMED,), (ASSUMED,))
    what = "ImageNet's" if len(found_mean) == 3 else str(ASSUMED)
    notes.append(
        f"`{found.name}`: the file does not say how pixels are normalized; {what} mean and std are an assumption, "
        "give others by --mean and --std"
    )
    return found_mean, found_std


def _of_storage(storage: Storage) -> tuple[tuple[float, ...], tuple[float, ...]]:
    zero_point = storage.zero_point + (128 if storage.element == "i8" else 0)
    return (float(zero_point),), (shortest(1.0 / storage.scale),)


def _numbers(values: Array) -> tuple[float, ...]:
    if not np.isfinite(values).all():
        raise ValueError("its normalization divides by 0")
    numbers = tuple(shortest(float(value)) for value in values.reshape(-1))
    return numbers[:1] if len(set(numbers)) == 1 else numbers


def _said(metadata: Mapping[str, str], key: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in metadata.get(key, "").split()[:16])
    except ValueError:
        return ()
    return values if all(map(np.isfinite, values)) else ()
