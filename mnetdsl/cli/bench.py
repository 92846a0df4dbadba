"""`mnet bench`: how fast a network runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import channels_option, json_option, load_with_weights, network_options, weights_option

if TYPE_CHECKING:
    from mnetdsl.sema.values import Constant


def parse_threads(context: click.Context, option: click.Parameter, value: str) -> tuple[int, ...]:
    """`1,2`: numbers of threads, each at least 1, in the order given."""
    words = [word.strip() for word in value.split(",")]
    if not all(word.isdecimal() and int(word) >= 1 for word in words):
        raise click.BadParameter(f"{value!r} is no list of numbers of threads, such as 1,2")
    return tuple(dict.fromkeys(int(word) for word in words))


def parse_names(context: click.Context, option: click.Parameter, value: str | None) -> tuple[str, ...]:
    """`a,b`: names between commas."""
    return tuple(dict.fromkeys(word.strip() for word in (value or "").split(",") if word.strip()))


@click.command(
    epilog="""\b
Examples:
  mnet bench mobilenet_v2 --weights random:1 --on iree-cpu
  mnet bench net.mnet --on iree-cpu --threads 1,2 --against litert,onnxruntime,openvino
  mnet bench mobilenet_v2 --weights random:1 --on iree-cpu --precision bf16 --against openvino
  mnet bench net.mnet --on qemu:cortex-m4 --format json
"""
)
@network_options
@weights_option
@click.option(
    "--on", metavar="KIND[:MACHINE]", required=True, help="Where to measure, such as iree-cpu or qemu:cortex-m4."
)
@click.option(
    "--threads", callback=parse_threads, default="1", show_default=True, metavar="LIST", help="Threads, such as 1,2."
)
@click.option(
    "--against",
    callback=parse_names,
    metavar="LIST",
    help="Other engines that run the same network and weights beside it: litert, onnxruntime, openvino.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    metavar="N",
    default=7,
    show_default=True,
    help="How often each engine gets its turn, in a process of its own.",
)
@click.option(
    "--precision",
    type=click.Choice(["f32", "bf16"]),
    default="f32",
    show_default=True,
    help="What float networks are computed in; bf16 beside openvino alone.",
)
@channels_option
@json_option
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    weights: str | None,
    on: str,
    threads: tuple[int, ...],
    against: tuple[str, ...],
    rounds: int,
    precision: str,
    fold: bool,
    layout: str,
) -> None:
    """Measure how fast FILE runs.

    FILE is a .mnet file, a folder that holds one, or a network of the zoo. Engines take turns, so that a slow moment
    of the machine meets all of them; reported are medians and how far the rounds lie apart.
    """
    from mnetdsl.bench import Request, check_kind, measure
    from mnetdsl.cli.console import print_json, print_table, working

    check_kind(on)
    network = load_with_weights(file, parameters, model, weights)
    if fold:
        network = network.without_constant_channels()
    with working(f"measuring {network.name}") as progress:
        request = Request(
            network.optimized(),
            written=network.module,
            threads=threads,
            against=against,
            rounds=rounds,
            precision=precision,
            progress=progress,
        )
        report = measure(on, request)
    if layout == "json":
        print_json(report.to_json())
        return
    table = report.table()
    print("\n".join(report.heading()), end="\n\n")
    print_table(table.header, table.rows, table.right)
    print("\n" + "\n".join(report.notes()))
