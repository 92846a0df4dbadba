"""`mnet transfer`: the weights of a trained network in another one, with a head of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import json_option, load_network, network_options, place

if TYPE_CHECKING:
    from mnetdsl.sema.values import Constant
    from mnetdsl.weights import Transfer


def parse_renames(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`OLD=NEW` each; either may be empty, for all layers."""
    renames: dict[str, str] = {}
    for value in values:
        old, separator, new = (part.strip() for part in value.partition("="))
        if not separator:
            raise click.BadParameter(f"{value!r} is not of the form OLD=NEW, for instance =backbone for all layers")
        if old in renames:
            raise click.BadParameter(f"{old or 'the whole file'} is renamed twice")
        renames[old] = new
    return renames


@click.command(
    epilog="""\b
Examples:
  mnet transfer pets.mnet --from build/v1 --rename =backbone --new classes --drop logits
  mnet transfer pets.mnet --from v1.safetensors --new head --drop logits -o start.safetensors
"""
)
@network_options
@click.option(
    "--from",
    "source",
    type=place,
    metavar="WEIGHTS",
    required=True,
    help="A .safetensors or .npz file, or a network whose deployment names one: a folder or .mnet file.",
)
@click.option("--new", multiple=True, metavar="LAYER", help="A layer of FILE that WEIGHTS does not fill. Repeatable.")
@click.option("--drop", multiple=True, metavar="LAYER", help="A layer of WEIGHTS that FILE does not use. Repeatable.")
@click.option(
    "--rename",
    callback=parse_renames,
    multiple=True,
    metavar="OLD=NEW",
    help="A layer of WEIGHTS that has another name in FILE; =NEW puts all of them under NEW. Repeatable.",
)
@click.option(
    "-o", "--output", type=place, metavar="FILE", help="Write all weights: those taken, and new ones drawn from --seed."
)
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Of the new layers' weights."
)
@json_option
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    source: str,
    new: tuple[str, ...],
    drop: tuple[str, ...],
    rename: Mapping[str, str],
    output: str | None,
    seed: int,
    layout: str,
) -> None:
    """Take the weights of a trained network over into FILE, which has a head of its own.

    Says what is taken, what is new and what is dropped. Whatever --new and --drop do not name must fit.
    """
    from mnetdsl.cli.console import print_json, talk
    from mnetdsl.weights import load_partial, load_weights, save_weights

    network = load_network(file, parameters, model)
    transfer = load_partial(network.module, _weights_of(source), new=new, drop=drop, rename=rename)
    if output is not None:
        save_weights(output, {**load_weights(network.module, f"random:{seed}"), **transfer.arrays})
    if layout == "json":
        print_json(_as_json(transfer))
    else:
        print(transfer)
    if output is not None:
        talk(f"wrote {output}")


def _weights_of(source: str) -> Path:
    """The weight file that `source` is or, of a network, that its deployment names. Raises MN0701 where it has none."""
    from mnetdsl.api import load
    from mnetdsl.diagnostics import MnetError, error

    path = Path(source)
    if not path.is_dir() and path.suffix != ".mnet":
        return path
    network = load(source)
    if network.weights_path is None:
        raise MnetError(
            error(
                "MN0701",
                f"`{network.name}` has no weights to take",
                location=source,
                help="name the weight file itself: `--from net.safetensors`",
            )
        )
    return network.weights_path


def _as_json(transfer: Transfer) -> dict[str, object]:
    return {
        "from": transfer.path,
        "taken": list(transfer.arrays),
        "new": [{"name": name, "shape": list(shape)} for name, shape in transfer.new],
        "dropped": [{"name": name, "shape": list(shape)} for name, shape in transfer.dropped],
    }
