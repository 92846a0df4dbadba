"""`mnet quantize`: a float network in int8, found by calibration on images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import is_name, json_option, load_with_weights, network_options, weights_option

if TYPE_CHECKING:
    from mnetdsl.quantize.network import QuantizedNetwork
    from mnetdsl.quantize.report import TensorReport
    from mnetdsl.sema.values import Constant

OBSERVERS = ("auto", "min-max", "moving-average", "percentile", "mse", "kl")
STEPS = 1000
FEW = 16
"""Images below which the report says that they are few."""


@click.command(
    epilog="""\b
Examples:
  mnet quantize build/v1 --calibrate photos --limit 100 -o build/v1q
  mnet quantize mobilenet_v3_small --weights v3.safetensors --calibrate photos -o build/v3q --int16 classifier
  mnet evaluate build/v1q --data photos --labels photos/labels.csv --skip 100 --compare build/v1
"""
)
@network_options
@weights_option
@click.option("--calibrate", metavar="DIR", required=True, help="A folder of images such as the network will see.")
@click.option("-o", "--output", "folder", metavar="DIR", required=True, help="The folder to write into.")
@click.option("--name", metavar="NAME", help="Of the result and its files. Default: that of FILE with _int8.")
@click.option("--skip", type=click.IntRange(0), default=0, help="Leave out the first images, in order of their names.")
@click.option("--limit", type=click.IntRange(1), help="Take at most so many images.")
@click.option(
    "--resize",
    type=click.Choice(["none", "crop", "pad", "stretch"]),
    default="crop",
    show_default=True,
    help="What to do with images of another size; none refuses them.",
)
@click.option(
    "--central",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=0.875,
    show_default=True,
    help="The middle share of both sides that is kept of images of another size, before they are resized.",
)
@click.option(
    "--ranges",
    type=click.Choice(OBSERVERS),
    default="auto",
    show_default=True,
    help="How ranges follow from what is seen; auto takes the best for each tensor.",
)
@click.option("--int16", "wide", multiple=True, metavar="LAYER", help="Store a layer's result in 16 bits. Repeatable.")
@click.option(
    "--int16-worst",
    "widest",
    type=click.IntRange(0),
    default=0,
    help="Store so many results, the costliest, in 16 bits.",
)
@click.option("--float", "in_float", multiple=True, metavar="LAYER", help="Compute a layer in float. Repeatable.")
@click.option("--no-equalize", is_flag=True, help="Leave the channels as they are.")
@click.option("--no-bias-correction", is_flag=True, help="Leave the biases as they are.")
@click.option("--nearest", is_flag=True, help="Round each weight to the nearest, without regard to the others.")
@click.option("--force", is_flag=True, help="Overwrite files of an earlier run.")
@json_option
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    weights: str | None,
    calibrate: str,
    folder: str,
    name: str | None,
    skip: int,
    limit: int | None,
    resize: str,
    central: float,
    ranges: str,
    wide: tuple[str, ...],
    widest: int,
    in_float: tuple[str, ...],
    no_equalize: bool,
    no_bias_correction: bool,
    nearest: bool,
    force: bool,
    layout: str,
) -> None:
    """Quantize FILE to int8, calibrated on images.

    FILE is a .mnet file, a folder that holds one, or a network of the zoo, in float with weights. The result is a
    folder: the text with a table of the tensors' scales, which people may read and edit, and the integer weights.
    Measure on other images than those it was calibrated on.
    """
    from mnetdsl.cli.console import counting, print_json, talk
    from mnetdsl.images import Resize
    from mnetdsl.quantize.network import Pictures
    from mnetdsl.quantize.quantizer import Settings
    from mnetdsl.quantize.report import report
    from mnetdsl.quantize.tuning import Techniques

    if name is not None and not is_name(name):
        raise click.UsageError(f"--name {name}: a name has letters, digits and _, for instance --name my_net")
    network = load_with_weights(file, parameters, model, weights)
    own = name or f"{network.name}_int8"
    _check_free(Path(folder), own, force)
    settings = Settings(
        observer=ranges,
        equalize=not no_equalize,
        techniques=Techniques(bias_correction=not no_bias_correction, learned_rounding=not nearest),
        wide=frozenset(wide),
        widest=widest,
        in_float=frozenset(in_float),
    )
    pictures = Pictures(calibrate, skip, limit, Resize(resize), central)
    with counting(f"quantizing {network.name}", STEPS) as advance:
        result = network.quantize(pictures, folder, settings=settings, name=own, progress=_shares(advance))
    rows = report(result.found)
    if layout == "json":
        print_json(_as_json(result, rows))
    else:
        _print_text(result, rows)
    talk(f"wrote {' and '.join(str(Path(folder) / path) for path in result.files)}")


def _as_json(result: QuantizedNetwork, rows: Sequence[TensorReport]) -> dict[str, object]:
    return {
        "name": result.name,
        "images": result.found.images,
        "tensors": [row.as_json() for row in rows],
        "equalized": [{"tensors": list(item.tensors), "spread": item.spread} for item in result.found.equalized],
        "files": list(result.files),
    }


def _print_text(result: QuantizedNetwork, rows: Sequence[TensorReport]) -> None:
    from mnetdsl.cli.console import print_table
    from mnetdsl.quantize.report import HEADER, RIGHT

    found = result.found
    print_table(HEADER, [row.cells() for row in rows], RIGHT)
    print()
    tensors = sum(len(item.tensors) for item in found.equalized)
    images = "1 image" if found.images == 1 else f"{found.images} images"
    print(f"{images}; {tensors} tensors equalized in {len(found.equalized)} groups")
    for name, cost in found.costs.items():
        print(f"16 bits: {name}, in 8 bits {100 * cost:.2g} % of the outputs' power is its noise")
    if found.images < FEW:
        few = "one image tells" if found.images == 1 else f"{found.images} images tell"
        print(f"{few} little of what the network will see: take some 100")
    if found.tuned_images < found.images:
        print(f"weights are rounded on {found.tuned_images} of them, as many as fit into memory")


def _shares(advance: Callable[[int], None]) -> Callable[[str, float], None]:
    """Turns shares of stages into steps of one bar."""
    from mnetdsl.quantize.quantizer import STAGES

    total = sum(STAGES.values())
    done = [0.0, 0.0]

    def progress(stage: str, share: float) -> None:
        done[0] += share * STAGES[stage] / total * STEPS
        whole = int(done[0] - done[1])
        if whole:
            done[1] += whole
            advance(whole)

    return progress


def _check_free(folder: Path, name: str, force: bool) -> None:
    from mnetdsl.diagnostics import MnetError, error

    taken = [path for path in (folder / f"{name}.mnet", folder / f"{name}.safetensors") if path.exists()]
    if taken and not force:
        raise MnetError(
            error(
                "MN0910",
                "the file exists already and is not overwritten",
                location=str(taken[0]),
                help="take another folder, or `--force` to replace it",
            )
        )
