"""`mnet import`: a network or checkpoint of another tool as a `.mnet` file and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import is_name, json_option, parse_assignments, parse_numbers, place

if TYPE_CHECKING:
    from mnetdsl.importers import Imported
    from mnetdsl.sema.values import Constant

GRAPHS = (".tflite", ".onnx")
"""Endings of files that hold the whole network, and not weights alone."""


@click.command(
    "import",
    epilog="""\b
Examples:
  mnet import mobilenet_v1_0.25_224.h5 -o build/v1
  mnet import mobilenet_v2.pth -o build/v2 --set resolution=192
  mnet import training_run.pth -o build/mine --key state_dict --name mine
  mnet import vww_96_int8.tflite -o build/vww
  mnet import mobilenet_v2.onnx -o build/v2 --mean 123.675,116.28,103.53 --std 58.395,57.12,57.375
""",
)
@click.argument("checkpoint", type=place, metavar="CHECKPOINT")
@click.option("-o", "--output", "folder", type=place, metavar="DIR", required=True, help="The folder to write into.")
@click.option("--name", metavar="NAME", help="Of the network and its files. Default: from what is recognized.")
@click.option("--key", metavar="KEY", help="The part of a PyTorch file that holds the weights, such as state_dict.")
@click.option(
    "--set",
    "parameters",
    callback=parse_assignments,
    multiple=True,
    metavar="NAME=VALUE",
    help="Overrule what is recognized: alpha, resolution, padding, epsilon. May be repeated.",
)
@click.option(
    "--mean", callback=parse_numbers, metavar="NUMBERS", help="Of the pixels of a .tflite or .onnx, as --std."
)
@click.option(
    "--std",
    callback=parse_numbers,
    metavar="NUMBERS",
    help="The network sees (pixel - mean) / std; for float inputs whose file does not say. One number, or one each.",
)
@click.option("--ignore-surplus", is_flag=True, help="Leave out tensors that the network has no place for.")
@click.option("--force", is_flag=True, help="Overwrite files of an earlier import.")
@json_option
def command(
    checkpoint: str,
    folder: str,
    name: str | None,
    key: str | None,
    parameters: Mapping[str, Constant],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    ignore_surplus: bool,
    force: bool,
    layout: str,
) -> None:
    """Recognize the network in CHECKPOINT and write it as .mnet with its weights.

    CHECKPOINT is a .tflite of TensorFlow Lite or an .onnx, float or quantized, whose blocks are found among its
    operators. Or it is
    a .h5 or .keras of Keras, a .pth or .pt of PyTorch, or .safetensors, of a network of the zoo with the names of
    keras.applications, torchvision, timm or mnetdsl. Nothing in it is executed.
    """
    from mnetdsl.cli.console import print_json, talk_of_files, working
    from mnetdsl.diagnostics import MnetError, error
    from mnetdsl.files import write_folder

    if name is not None and not is_name(name):
        raise click.UsageError(f"--name {name}: a name has letters, digits and _, for instance --name my_net")
    with working(f"importing {checkpoint}"):
        if Path(checkpoint).suffix.lower() in GRAPHS:
            imported = _import_graph(checkpoint, name, key, parameters, mean, std)
        else:
            imported = _import_checkpoint(checkpoint, name, key, parameters, mean, std, ignore_surplus)
    taken = [file for file in imported.files if (Path(folder) / file).exists()]
    if taken and not force:
        raise MnetError(
            error(
                "MN0910",
                "the file exists already and is not overwritten",
                location=str(Path(folder) / taken[0]),
                help="take another folder, or `--force` to replace it",
            )
        )
    write_folder(Path(folder), imported.files)
    if layout == "json":
        print_json(_as_json(imported))
    else:
        _print_text(imported)
    talk_of_files(Path(folder) / file for file in imported.files)


def _import_graph(
    path: str,
    name: str | None,
    key: str | None,
    parameters: Mapping[str, Constant],
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> Imported:
    suffix = Path(path).suffix.lower()
    if key is not None or parameters:
        raise click.UsageError(f"--key and --set are for checkpoints: a {suffix} says all of its network itself")
    if suffix == ".onnx":
        from mnetdsl.importers.onnx import import_onnx

        return import_onnx(path, name=name, mean=mean, std=std)
    from mnetdsl.importers.tflite import import_tflite

    return import_tflite(path, name=name, mean=mean, std=std)


def _import_checkpoint(
    path: str,
    name: str | None,
    key: str | None,
    parameters: Mapping[str, Constant],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    ignore_surplus: bool,
) -> Imported:
    from mnetdsl.importers import import_checkpoint

    if mean or std:
        raise click.UsageError(
            "--mean and --std are for .tflite and .onnx files: a checkpoint's library is known by its names"
        )
    return import_checkpoint(path, name=name, key=key, parameters=parameters, ignore_surplus=ignore_surplus)


def _as_json(imported: Imported) -> dict[str, object]:
    return {
        "name": imported.name,
        "network": imported.network,
        "library": imported.library,
        "facts": [{"name": fact.name, "value": fact.value, "why": fact.why} for fact in imported.facts],
        "notes": list(imported.notes),
        "matched": imported.matched,
        "surplus": list(imported.surplus),
        "counters": list(imported.counters),
        "missing": [],
        "files": list(imported.files),
    }


def _print_text(imported: Imported) -> None:
    from mnetdsl.cli.console import print_table

    rows = [(fact.name, fact.value, fact.why) for fact in imported.facts]
    print_table(("RECOGNIZED", "AS", "BECAUSE"), rows, (False, False, False))
    print()
    for note in imported.notes:
        print(note)
    counters = f", {len(imported.counters)} counters of training left out" if imported.counters else ""
    print(f"{imported.matched} tensors matched, none missing, {len(imported.surplus)} surplus{counters}")
    for surplus in imported.surplus:
        print(f"  left out: {surplus}")
