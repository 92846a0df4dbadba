"""Calibration images: which files of a folder, and how they reach the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.images import RAW_SUFFIXES, Resize, load_input
from mnetdsl.ir.core import Module, Port
from mnetdsl.ir.types import ElementType

Array = NDArray[np.generic]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff")
ARRAY_SUFFIXES = (".npy", *RAW_SUFFIXES)
CENTRAL = 0.875
"""The middle share of each side of an image that is kept, as `mnet evaluate` does."""
BATCH = 4


@dataclass(frozen=True)
class Calibration:
    """Arrays [N, …] for the one input, in batches; `files` are what they were read from, in order."""

    input: str
    batches: tuple[Array, ...]
    files: tuple[Path, ...] = ()

    @property
    def images(self) -> int:
        return sum(len(batch) for batch in self.batches)


def read_calibration(
    module: Module,
    folder: str | Path,
    *,
    skip: int = 0,
    limit: int | None = None,
    resize: Resize = Resize.CROP,
    central: float = CENTRAL,
) -> Calibration:
    """The images of `folder`, in the order of their names, without the first `skip`, at most `limit` of the rest.

    Raises `MnetError`: MN1806 where there is nothing to calibrate with, MN1807 where images lie beside arrays, MN1808
    for a network of several inputs, and what images raise.
    """
    port = calibrated_input(module)
    files = calibration_files(folder)
    chosen = files[skip:] if limit is None else files[skip : skip + limit]
    if not chosen:
        raise MnetError(
            error(
                "MN1806",
                f"no images are left: the folder has {len(files)}, {skip} are skipped",
                location=str(folder),
                help="skip fewer of them",
            )
        )
    arrays = [load_input(file, port, resize, central) for file in chosen]
    return batched(port.name, arrays, chosen)


def batched(name: str, arrays: Sequence[Array], files: Sequence[Path] = ()) -> Calibration:
    """Calibration with `arrays` [N, …] for the input `name`."""
    stacked = np.concatenate(list(arrays))
    batches = tuple(stacked[start : start + BATCH] for start in range(0, len(stacked), BATCH))
    return Calibration(name, batches, tuple(files))


def calibrated_input(module: Module) -> Port:
    """The one input. Raises MN1808 for networks of several."""
    ports = module.graph.inputs
    if len(ports) == 1:
        return ports[0]
    listed = ", ".join(f"`{port.name}`" for port in ports) or "none"
    raise MnetError(
        error(
            "MN1808",
            f"`{module.name}` has {len(ports)} inputs: {listed}",
            help="a network of one input can be calibrated with the files of a folder",
        )
    )


def calibration_files(folder: str | Path) -> list[Path]:
    """Images of `folder`, or arrays, by name; folders below it are not entered. Raises MN1806, MN1807."""
    path = Path(folder)
    try:
        found = sorted((item for item in path.iterdir() if item.is_file()), key=lambda item: item.name)
    except OSError as problem:
        raise MnetError(
            error(
                "MN1806",
                f"cannot read the folder: {problem.strerror or problem}",
                location=str(path),
                help="--calibrate names a folder of images such as the network will see",
            )
        ) from None
    images = [item for item in found if item.suffix.lower() in IMAGE_SUFFIXES]
    arrays = [item for item in found if item.suffix.lower() in ARRAY_SUFFIXES]
    if images and arrays:
        raise MnetError(
            error(
                "MN1807",
                f"the folder mixes {len(images)} images and {len(arrays)} arrays, such as {arrays[0].name}",
                location=str(path),
                help="images are cropped and resized, arrays are taken as they are: put one kind into another folder",
            )
        )
    if not images and not arrays:
        others = f"its files, such as {found[0].name}, are none" if found else "it is empty"
        raise MnetError(
            error(
                "MN1806",
                f"the folder has no images to calibrate with: {others}",
                location=str(path),
                help="some 100 photographs such as the network will see, as .jpg or .png; or .npy arrays",
            )
        )
    return images or arrays


def takes_floats(port: Port) -> bool:
    """Whether the input holds real numbers, which are quantized themselves."""
    return port.value.type.element is ElementType.F32
