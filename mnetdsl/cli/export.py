"""`mnet export`: a network as a file of another tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import json_option, load_with_weights, network_options, place, weights_option

if TYPE_CHECKING:
    from mnetdsl.api import Network
    from mnetdsl.exporters.inputs import ExportedInput
    from mnetdsl.sema.values import Constant

FORMATS = ("tflite", "onnx")


@click.command(
    epilog="""\b
Examples:
  mnet export build/vww --to tflite -o build/vww.tflite
  mnet export mobilenet_v2 --weights v2.safetensors --to onnx -o build/v2.onnx
  mnet export net.mnet --set resolution=96 -o build/net96.tflite
  mnet validate build/vww --against build/vww.tflite
"""
)
@network_options
@weights_option
@click.option("--to", type=click.Choice(FORMATS), help="The format. Default: the ending of the file.")
@click.option("-o", "--output", type=place, metavar="FILE", required=True, help="The file to write.")
@click.option("--stored-inputs", is_flag=True, help="Give images as an int8 network stores them, not normalized.")
@click.option("--force", is_flag=True, help="Overwrite the file where it exists.")
@json_option
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    weights: str | None,
    to: str | None,
    output: str,
    stored_inputs: bool,
    force: bool,
    layout: str,
) -> None:
    """Write FILE as .tflite or .onnx, for other tools.

    FILE is a .mnet file, a folder that holds one, or a network of the zoo. A deployment with a table of quantization is
    written as int8: TensorFlow Lite's reference kernels then compute the same bits as ours, which `mnet validate
    --against` shows; ONNX has the QDQ form. Float networks take the normalized image; the report says how.
    """
    from mnetdsl.cli.console import print_json, print_table, talk_of_files, working
    from mnetdsl.diagnostics import MnetError, error

    path = Path(output)
    ending = path.suffix.lower().removeprefix(".")
    chosen = to or ending
    if chosen not in FORMATS:
        raise click.UsageError(f"{output} says no format: add --to tflite or --to onnx, or end it in .tflite or .onnx")
    if ending != chosen and ending in FORMATS:
        raise click.UsageError(f"--to {chosen} and the ending of {output} contradict each other")
    network = load_with_weights(file, parameters, model, weights, trained=True)
    if stored_inputs and not network.module.quantized:
        raise click.UsageError("--stored-inputs is for quantized networks: a float one takes the normalized image")
    beside = [path.with_suffix(".tensors.json")] if chosen == "tflite" else []
    taken = [place for place in (path, *beside) if place.exists()]
    if taken and not force:
        raise MnetError(
            error(
                "MN0910",
                "the file exists already and is not overwritten",
                location=str(taken[0]),
                help="take another name, or `--force` to replace it",
            )
        )
    with working(f"exporting {network.name}"):
        files = network.export(chosen, path, stored_inputs=stored_inputs)
    inputs = _inputs(network, chosen, stored_inputs)
    if layout == "json":
        sizes = [{"name": name, "bytes": len(data)} for name, data in files.items()]
        described = [{key: value for key, value in vars(found).items() if key != "holds"} for found in inputs]
        print_json({"name": network.name, "format": chosen, "inputs": described, "files": sizes})
        return
    print_table(
        ("INPUT", "SHAPE", "TYPE", "HOLDS"),
        [(found.name, "x".join(map(str, found.shape)), found.element, found.holds) for found in inputs],
        (False, False, False, False),
    )
    talk_of_files(path.parent / name for name in files)


@dataclass(frozen=True)
class Given:
    """An input of the written file; `holds` says in words what the caller puts there."""

    name: str
    shape: tuple[int, ...]
    element: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float | None
    zero_point: int | None
    holds: str


def _inputs(network: Network, to: str, stored: bool) -> list[Given]:
    from mnetdsl.exporters.inputs import exported_inputs

    inputs = []
    for found in exported_inputs(network.module, stored=stored):
        shape, numbers = found.type.shape, found.type.quantization
        if to == "onnx" and len(shape) == 4:
            shape = (shape[0], shape[3], shape[1], shape[2])
        scale, point = (None, None) if numbers is None else (numbers.scale[0], numbers.zero_point[0])
        element = found.type.element.dtype
        inputs.append(
            Given(found.port.name, shape, element, found.mean, found.std, scale, point, _holds(found, scale, point))
        )
    return inputs


def _holds(found: ExportedInput, scale: float | None, point: int | None) -> str:
    if not found.std:
        return "what the network is given"
    if found.pixels:
        return "pixel - 128" if found.type.element.dtype == "int8" else "pixel"
    normalized = f"(pixel - {_plain(found.mean)}) / {_plain(found.std)}"
    return normalized if scale is None else f"round({normalized} / {scale:.9g}) + {point}"


def _plain(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
