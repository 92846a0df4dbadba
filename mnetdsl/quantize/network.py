"""A float network into the folder of a quantized one: its text, its integers, and the files that the text names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.files import write_folder
from mnetdsl.interpreter import check_inputs
from mnetdsl.interpreter.ops.constant import missing_weights
from mnetdsl.ir.core import Module
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.quantize.apply import apply_quantization
from mnetdsl.quantize.calibration import Calibration, batched, calibrated_input
from mnetdsl.quantize.pictures import Pictures
from mnetdsl.quantize.quantizer import Progress, Quantized, Settings, quantize_module
from mnetdsl.quantize.requested import requested_pictures, requested_settings
from mnetdsl.quantize.text import companions, deployment_text
from mnetdsl.sema import Instance
from mnetdsl.source import SourceFile
from mnetdsl.weights import safetensors

Array = NDArray[np.generic]


@dataclass(frozen=True)
class QuantizedNetwork:
    """The network `name`: what was found, `module` with its integers, and the files that say so, by path.

    left_out: how many files lay beside the images that are none.
    """

    name: str
    found: Quantized
    module: Module
    files: Mapping[str, bytes]
    left_out: int = 0


def quantize_network(
    source: SourceFile,
    instance: Instance,
    calibration: Calibration | Pictures | Sequence[Array] | Array | str | Path | None,
    folder: str | Path | None = None,
    *,
    settings: Settings | None = None,
    limit: int | None = None,
    name: str | None = None,
    progress: Progress = lambda stage, share: None,
) -> QuantizedNetwork:
    """Quantizes `instance`, built from `source` and with weights; see `mnetdsl.api.Network.quantize`."""
    own = name or f"{instance.module.name}_int8"
    _check_float(source, instance)
    beside = companions(source)
    settings = settings or requested_settings(instance.deployment)
    if calibration is None:
        calibration = pictures_of(source.path, instance, limit)
    if isinstance(calibration, str | Path):
        calibration = Pictures(calibration, limit=limit)
    if isinstance(calibration, Pictures):
        calibration = calibration.read(instance.module)
    if not isinstance(calibration, Calibration):
        calibration = _of_arrays(instance.module, [calibration] if isinstance(calibration, np.ndarray) else calibration)
    partial = None if folder is None else partial_path(folder, own)
    found = quantize_module(instance.module, calibration, settings, partial, progress)
    module = apply_quantization(instance.module, found.rows, f"{own}.mnet")
    arrays = found.arrays(module)
    module.resources = dict(arrays)
    text = deployment_text(source, instance, own, _doc(instance, found), found.rows)
    files = {**beside, f"{own}.mnet": text.encode(), f"{own}.safetensors": safetensors.to_bytes(arrays)}
    if folder is not None:
        write_folder(Path(folder), files)
    return QuantizedNetwork(own, found, module, files, calibration.left_out)


def partial_path(folder: str | Path, name: str) -> Path:
    """The file in which an interrupted run for the network `name` leaves what it has found."""
    return Path(folder) / f"{name}.partial.npz"


def _of_arrays(module: Module, arrays: Sequence[Array]) -> Calibration:
    """Calibration with arrays [N, …]; raises MN0621 for one that the input does not take, MN1806 for none."""
    port = calibrated_input(module)
    for array in arrays:
        check_inputs(module, {port.name: array})
    if not arrays:
        raise MnetError(
            error("MN1806", "there is no array to calibrate with", help=f"give arrays [N, …] for `{port.name}`")
        )
    return batched(port.name, arrays)


def pictures_of(source_path: str, instance: Instance, limit: int | None = None) -> Pictures:
    """The images that the deployment of `instance` names; raises MN1806 where it names none."""
    pictures = requested_pictures(instance.deployment, Path(source_path).parent)
    if pictures is None:
        raise MnetError(
            error(
                "MN1806",
                f"nothing says which images `{instance.module.name}` is to be calibrated with",
                location=source_path,
                help=(
                    "name them: `mnet quantize … --calibrate photos`",
                    'or in a deployment: `quantize int8 { calibrate = "photos/*.jpg" }`',
                ),
            )
        )
    return pictures if limit is None else replace(pictures, limit=limit)


def _doc(instance: Instance, found: Quantized) -> list[str]:
    images = "1 image" if found.images == 1 else f"{found.images} images"
    return [f"`{instance.module.name}` in int8, calibrated on {images} by `mnet quantize`."]


def _check_float(source: SourceFile, instance: Instance) -> None:
    deployment = instance.deployment
    if deployment is not None and deployment.quantization is not None:
        raise MnetError(
            error(
                "MN1812",
                f"`{deployment.name}` is quantized already",
                location=source.path,
                help="quantize the float network that it was made of; weights that were rounded are gone for good",
            )
        )
    constants = [op for op in instance.module.graph.operations if isinstance(op, Constant)]
    missing = [op for op in constants if op.resource not in instance.module.resources]
    if missing:
        raise missing_weights(missing)
