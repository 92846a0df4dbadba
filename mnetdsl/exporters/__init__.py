"""Networks as files of other tools: a registry of formats.

files = export_files(network.module, "tflite", "vww.tflite")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import PurePath

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.diagnostics.extras import install
from mnetdsl.ir.core import Module


@dataclass(frozen=True)
class Format:
    """`files` gives what is written for a module under a file name; `packages` are those of `extra` that it takes."""

    name: str
    packages: tuple[str, ...]
    extra: str
    code: str
    files: Callable[[Module, str, bool], dict[str, bytes]]


def export_files(module: Module, to: str, file: str, *, stored_inputs: bool = False) -> dict[str, bytes]:
    """What `mnet export` writes, by name: `file` in the format `to`, and what belongs beside it.

    module: with its weights, as `api.Network` has it, float or quantized. `stored_inputs`: as in
    `exporters.inputs.exported_inputs`. Raises `MnetError` as
    `exporters.tflite.write_tflite` and `exporters.onnx.write_onnx` do; MN1701 and MN1706 without their packages;
    `ValueError` for a format that is none of `FORMATS`.
    """
    from mnetdsl.quantize.apply import quantizable

    format = FORMATS.get(to)
    if format is None:
        raise ValueError(f"there is no format {to!r}; there are {', '.join(FORMATS)}")
    missing = [package for package in format.packages if find_spec(package) is None]
    if missing:
        listing = " and ".join(package.replace("_", "-") for package in missing)
        raise MnetError(
            error(
                format.code,
                f"writing {format.name} files takes the package {listing}",
                location=file,
                help=install(format.extra),
            )
        )
    return format.files(module if module.quantized else quantizable(module), file, stored_inputs)


def _tflite(module: Module, file: str, stored_inputs: bool) -> dict[str, bytes]:
    from mnetdsl.exporters.tflite import write_tflite

    written = write_tflite(module, stored_inputs=stored_inputs)
    return {file: written.data, f"{PurePath(file).stem}.tensors.json": written.tensor_map(file)}


def _onnx(module: Module, file: str, stored_inputs: bool) -> dict[str, bytes]:
    from mnetdsl.exporters.onnx import write_onnx

    return {file: write_onnx(module, stored_inputs=stored_inputs)}


FORMATS: dict[str, Format] = {
    "tflite": Format("TensorFlow Lite", ("flatbuffers", "ai_edge_litert"), "tflite", "MN1701", _tflite),
    "onnx": Format("ONNX", ("onnx",), "onnx", "MN1706", _onnx),
}
