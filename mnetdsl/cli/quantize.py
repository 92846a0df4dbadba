"""`mnet quantize`: a float network in int8, found by calibration on images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from mnetdsl.cli.options import (
    central_option,
    is_name,
    json_option,
    load_with_weights,
    network_options,
    place,
    resize_option,
    weights_option,
)

if TYPE_CHECKING:
    from mnetdsl.quantize.network import QuantizedNetwork
    from mnetdsl.quantize.report import TensorReport
    from mnetdsl.sema.values import Constant

T = TypeVar("T")

OBSERVERS = ("auto", "min-max", "moving-average", "percentile", "mse", "kl")
SHARE = 99.99
LEAST_SHARE = 50.0
FEW = 16
"""Images below which the report says that they are few."""


def parse_ranges(context: click.Context, option: click.Parameter, value: str | None) -> tuple[str, float] | None:
    """An observer's name, with the per cent of values that `percentile` keeps: `mse`, `percentile:99.9`."""
    if value is None:
        return None
    name, separator, share = value.partition(":")
    if name not in OBSERVERS or (separator and name != "percentile"):
        raise click.BadParameter(f"{value!r} is none of {', '.join(OBSERVERS)}, percentile:99.9")
    try:
        kept = float(share) if separator else SHARE
    except ValueError:
        kept = 0.0
    if not LEAST_SHARE < kept <= 100.0:
        raise click.BadParameter(f"{value!r}: percentile keeps more than {LEAST_SHARE:g} and at most 100 per cent")
    return name, kept


@click.command(
    epilog="""\b
Examples:
  mnet quantize build/v1 --calibrate photos --limit 100 -o build/v1q
  mnet quantize mobilenet_v3_small --weights v3.safetensors --calibrate photos -o build/v3q --int16 classifier
  mnet quantize net.mnet --model vww -o build/vww        # as the section `quantize` of the deployment vww says
  mnet evaluate build/v1q --data photos --labels photos/labels.csv --skip 100 --compare build/v1
"""
)
@network_options
@weights_option
@click.option(
    "--calibrate",
    type=place,
    metavar="DIR",
    help="A folder of images such as the network will see, or a pattern: 'photos/*.jpg'. Default: the deployment's.",
)
@click.option("-o", "--output", "folder", type=place, metavar="DIR", required=True, help="The folder to write into.")
@click.option("--name", metavar="NAME", help="Of the result and its files. Default: that of FILE with _int8.")
@click.option(
    "--skip",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    help="Leave out the first images, in order of their names.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Take at most so many images.")
@resize_option("crop")
@central_option
@click.option(
    "--ranges",
    callback=parse_ranges,
    metavar="HOW",
    help=f"How ranges follow from what is seen: {', '.join(OBSERVERS)}, or percentile:99.9. auto, the default, takes "
    "the best for each tensor.",
)
@click.option("--int16", "wide", multiple=True, metavar="LAYER", help="Store a layer's result in 16 bits. Repeatable.")
@click.option(
    "--int16-worst",
    "widest",
    type=click.IntRange(0),
    metavar="N",
    help="Store so many results, the costliest, in 16 bits.",
)
@click.option("--float", "in_float", multiple=True, metavar="LAYER", help="Compute a layer in float. Repeatable.")
@click.option("--equalize/--no-equalize", default=None, help="Bring channels to one range, or leave them as they are.")
@click.option("--bias-correction/--no-bias-correction", default=None, help="Correct biases, or leave them as they are.")
@click.option(
    "--learned-rounding/--nearest",
    "learned",
    default=None,
    help="Round weights with regard to each other, or each to the nearest.",
)
@click.option("--force", is_flag=True, help="Overwrite files of an earlier run.")
@json_option
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    weights: str | None,
    calibrate: str | None,
    folder: str,
    name: str | None,
    skip: int,
    limit: int | None,
    resize: str,
    central: float,
    ranges: tuple[str, float] | None,
    wide: tuple[str, ...],
    widest: int | None,
    in_float: tuple[str, ...],
    equalize: bool | None,
    bias_correction: bool | None,
    learned: bool | None,
    force: bool,
    layout: str,
) -> None:
    """Quantize FILE to int8, calibrated on images.

    FILE is a .mnet file, a folder that holds one, or a network of the zoo, in float with weights. The result is a
    folder: the text with a table of the tensors' scales, which people may read and edit, and the integer weights.
    Measure on other images than those it was calibrated on.

    What is not said here is taken from the section `quantize int8 { … }` of the deployment, where FILE has one.
    """
    from mnetdsl.api import load
    from mnetdsl.cli.console import advancing, print_json, talk, talk_of_files
    from mnetdsl.diagnostics import ExitCode, MnetError
    from mnetdsl.images import Resize
    from mnetdsl.quantize.network import partial_path
    from mnetdsl.quantize.pictures import Pictures
    from mnetdsl.quantize.quantizer import Settings
    from mnetdsl.quantize.report import report
    from mnetdsl.quantize.requested import requested_settings
    from mnetdsl.quantize.tuning import Techniques

    if name is not None and not is_name(name):
        raise click.UsageError(f"--name {name}: a name has letters, digits and _, for instance --name my_net")
    network = load_with_weights(file, parameters, model, weights, trained=True)
    own = name or f"{network.name}_int8"
    _check_free(Path(folder), own, force)
    asked = requested_settings(network.instance.deployment)
    techniques = Techniques(
        bias_correction=_or(bias_correction, asked.techniques.bias_correction),
        learned_rounding=_or(learned, asked.techniques.learned_rounding),
    )
    observer, share = _or(ranges, (asked.observer, asked.share))
    settings = Settings(
        observer=observer,
        share=share,
        equalize=_or(equalize, asked.equalize),
        techniques=techniques,
        wide=frozenset(wide) or asked.wide,
        widest=_or(widest, asked.widest),
        in_float=frozenset(in_float) or asked.in_float,
    )
    place = network.requested_pictures() if calibrate is None else Pictures(calibrate)
    pictures = replace(place, skip=skip, limit=_or(limit, place.limit), resize=Resize(resize), central=central)
    try:
        with advancing(f"quantizing {network.name}") as show:
            result = network.quantize(pictures, folder, settings=settings, name=own, progress=shares_of_all(show))
    except KeyboardInterrupt:
        if partial_path(folder, own).exists():
            talk(f"{partial_path(folder, own)} holds what was found: the same command goes on from there")
        raise
    rows = report(result.found)
    if layout == "json":
        print_json(_as_json(result, rows))
    else:
        _print_text(result, rows)
    if result.left_out:
        others = "1 file is" if result.left_out == 1 else f"{result.left_out} files are"
        talk(f"{others} neither image nor array and left out, of those in {pictures.shown}")
    talk_of_files(Path(folder) / path for path in result.files)
    problems = load(Path(folder) / f"{own}.mnet").over_budget()
    if problems:
        raise MnetError(*problems, exit_code=ExitCode.OVER_BUDGET)


def _or(given: T | None, else_: T) -> T:
    return else_ if given is None else given


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


def shares_of_all(show: Callable[[str, float], None]) -> Callable[[str, float], None]:
    """Turns shares of stages, as they are done one after the other, into the share of all that is done by then."""
    from mnetdsl.quantize.quantizer import STAGES

    names, total = list(STAGES), sum(STAGES.values())
    done = dict.fromkeys(STAGES, 0.0)

    def progress(stage: str, share: float) -> None:
        done[stage] = min(1.0, done[stage] + share)
        before = sum(STAGES[name] for name in names[: names.index(stage)])  # a stage that is left out takes no time
        show(stage, (before + done[stage] * STAGES[stage]) / total)

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
