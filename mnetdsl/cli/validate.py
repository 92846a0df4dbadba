"""`mnet validate`: do all backends compute what the interpreter computes?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import (
    channels_option,
    json_option,
    load_with_weights,
    network_options,
    place,
    resize_option,
    weights_option,
)

if TYPE_CHECKING:
    from mnetdsl.images import Resize
    from mnetdsl.ir.core import Port
    from mnetdsl.sema.values import Constant
    from mnetdsl.validate.cases import Cases
    from mnetdsl.validate.report import BackendResult, ValidationReport

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff", ".npy", ".bin", ".raw")
"""Of the files in a folder that are inputs; labels and licences often lie beside them."""


@click.command(
    epilog="""\b
Examples:
  mnet validate net.mnet --weights net.safetensors --on c,iree-cpu
  mnet validate mobilenet_v2 --weights random:1 --on iree-cpu,iree-vulkan --set alpha=0.35
  mnet validate net.mnet --inputs photos/ --resize crop --format json
  mnet validate build/vww --against vww_96_int8.tflite --on numpy,c
"""
)
@network_options
@weights_option
@click.option(
    "--on",
    metavar="BACKENDS",
    help="What to compare, with commas between; see `mnet targets`. Default: c,iree-cpu; with --against numpy.",
)
@click.option(
    "--against",
    type=place,
    metavar="TFLITE",
    help="Compare with TensorFlow Lite's reference kernels on the .tflite that the network was imported from, or "
    "exported to.",
)
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Of the inputs that are made up."
)
@click.option(
    "--inputs",
    type=place,
    metavar="PATH",
    help="An image or array, or a folder of them, in place of inputs that are made up.",
)
@resize_option("none")
@click.option(
    "--tolerance",
    type=click.FloatRange(0.0, min_open=False),
    metavar="NUMBER",
    help="Largest accepted error, as a fraction of a layer's largest magnitude. Default: 1e-4.",
)
@channels_option
@json_option
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    weights: str | None,
    on: str | None,
    against: str | None,
    seed: int,
    inputs: str | None,
    resize: str,
    tolerance: float | None,
    fold: bool,
    layout: str,
) -> None:
    """Compare backends with the interpreter, layer by layer.

    FILE is a .mnet file, a folder that holds one, or a network of the zoo. Exits with 4 where a backend differs, and
    names the first layer past the tolerance. With --against, backends and interpreter are compared with TensorFlow
    Lite: quantized tensors bit by bit.
    """
    from mnetdsl.backends.runners import check_backend
    from mnetdsl.cli.console import print_json, working
    from mnetdsl.diagnostics import MnetError
    from mnetdsl.images import Resize

    chosen = on if on is not None else "c,iree-cpu" if against is None else "numpy"
    backends = list(dict.fromkeys(name.strip() for name in chosen.split(",") if name.strip()))
    if not backends:
        raise click.UsageError("--on names no backend, for instance --on c,iree-cpu")
    for name in backends:
        check_backend(name)
    network = load_with_weights(file, parameters, model, weights)
    cases = None if inputs is None else _read_cases(inputs, network.module.graph.inputs, Resize(resize))
    if fold and against is not None:
        raise click.UsageError("--against compares whole layers, and --fold-constant-channels makes them smaller")
    if fold:
        network = network.without_constant_channels()
    with working(f"validating {network.name}") as progress:
        if against is None:
            report = network.validate(backends, seed=seed, inputs=cases, tolerance=tolerance, progress=progress)
        else:
            report = network.validate_against(
                against, backends, seed=seed, inputs=cases, tolerance=tolerance, progress=progress
            )
    if layout == "json":
        print_json(report.as_json())
    else:
        _print_text(report)
    if not report.agrees:
        raise MnetError(*report.diagnostics(), exit_code=report.exit_code)


def _read_cases(path: str, ports: list[Port], resize: Resize) -> Cases:
    import numpy as np

    from mnetdsl.diagnostics import ExitCode, MnetError, error
    from mnetdsl.images import load_input
    from mnetdsl.validate.cases import Cases

    if len(ports) != 1:
        listing = ", ".join(port.name for port in ports)
        raise MnetError(
            error(
                "MN1403",
                f"`--inputs` feeds networks of one input, this one has {listing}",
                help="leave it out: inputs are made up for each",
            ),
            exit_code=ExitCode.USAGE,
        )
    folder = Path(path)
    files = [folder]
    if folder.is_dir():
        files = sorted(each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
    if not files:
        raise MnetError(
            error("MN1403", "the folder holds no images or arrays", location=path, help="name another one, or a file"),
            exit_code=ExitCode.USAGE,
        )
    arrays = [load_input(each, ports[0], resize) for each in files]
    names = [
        each.name if len(array) == 1 else f"{each.name}[{index}]"
        for each, array in zip(files, arrays, strict=True)
        for index in range(len(array))
    ]
    return Cases(tuple(names), {ports[0].name: np.concatenate(arrays)})


def _print_text(report: ValidationReport) -> None:
    from mnetdsl.cli.console import print_table

    shown = ", ".join(report.inputs[:6]) + (", …" if len(report.inputs) > 6 else "")
    count = f"{len(report.inputs)} input{'s' if len(report.inputs) != 1 else ''}"
    accepted = f"tolerance {report.tolerance:g}" if report.tolerance else "bit by bit"
    print(f"{report.model} on {count} ({shown}); {accepted}")
    print()
    print_table(
        ("BACKEND", "VERDICT", "LAYERS", "WORST", "PLACE", "ABSOLUTE", "RELATIVE"),
        [_row(backend) for backend in report.backends],
        (False, False, True, False, False, True, True),
    )


def _row(backend: BackendResult) -> tuple[str, ...]:
    verdict = "failed" if backend.failure is not None else "agrees" if backend.agrees else "DIFFERS"
    worst = backend.worst
    layers = str(len(backend.layers)) if backend.layers else "-"
    if worst is None:
        return backend.name, verdict, layers, "-", "-", "-", "-"
    if worst.problem is not None:
        return backend.name, verdict, layers, worst.name, str(worst.location), worst.problem, ""
    return (
        backend.name,
        verdict,
        layers,
        worst.name,
        str(worst.location),
        f"{worst.absolute:.2e}",
        f"{worst.relative:.2e}",
    )
