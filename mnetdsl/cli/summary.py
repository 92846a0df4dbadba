"""`mnet summary`: layers, shapes and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.counts import feed_option, instructions_option
from mnetdsl.cli.options import json_option, load_network, network_options, weights_option

if TYPE_CHECKING:
    from mnetdsl.api import Network
    from mnetdsl.backends.firmware import Forecast
    from mnetdsl.cost.summary import LayerCost, PortType, Summary
    from mnetdsl.plan import Plan
    from mnetdsl.sema.values import Constant

_MERGED = ("batch_norm", "relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "silu", "gelu", "tanh", "clamp")
"""Shown behind the layer they belong to, as every backend computes them there."""


@click.command(
    epilog="""\b
Examples:
  mnet summary mobilenet_v2
  mnet summary net.mnet --set alpha=0.35 --set resolution=96
  mnet summary net.mnet --format json | jq .total
  mnet summary build/vww --target cortex-m4
  mnet summary build/vww --target stm32f407 --feed rows
"""
)
@network_options
@weights_option
@click.option(
    "--target",
    metavar="CORE",
    help="Also what it costs on a microcontroller: instructions, flash, RAM; `mnet targets`.",
)
@feed_option
@instructions_option
@json_option
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    weights: str | None,
    target: str | None,
    feed: str,
    instructions: int | None,
    layout: str,
) -> None:
    """Show layers, shapes, parameters and multiply-accumulates of FILE.

    FILE is a .mnet file, a folder that holds one, or a network of the zoo. No weights are needed. Parameters are
    the trained ones, batch-norm scale and offset included. Rows of the text join a layer with the batch norm and
    the activation behind it; --format json has them one by one. RAM is the arena of portable C; with --target it is
    that of the target's C, which has kernels of its own.

    With --target, weights count: those named, else made-up ones. Instructions are predicted from kernels measured in
    QEMU; flash and RAM are exact, for which the network is compiled and linked. --feed and --instructions say which C
    that is, as for `mnet compile`.
    """
    from mnetdsl.cli.console import print_json, working

    if target is None and (feed != "image" or instructions is not None):
        raise click.UsageError("--feed and --instructions need a --target")
    device = None if target is None else _device(target)
    network = load_network(file, parameters, model)
    summary, plan = network.summary(), _plan(network) if device is None else None
    forecast = None
    if device is not None:
        ready = network.with_weights(_weights(network, weights))
        with working(f"compiling {network.name} for {device}"):
            forecast = ready.forecast(device, rows=feed == "rows", instructions=instructions)
    if layout == "json":
        described = summary.as_json()
        described["memory"] = None if plan is None else _memory_json(plan)
        if forecast is not None:
            described["target"] = forecast.as_json()
        print_json(described)
        return
    _print_text(summary)
    if plan is not None:
        _print_memory(plan)
    if forecast is not None:
        _print_forecast(forecast)


def _device(target: str) -> str:
    """Raises a usage error for what is no microcontroller, MN1101 for what is no target."""
    from mnetdsl.backends.targets import check_target
    from mnetdsl.targets import find_device

    name = check_target(target)
    if find_device(name) is None:
        raise click.UsageError(f"--target {target}: no microcontroller; `mnet targets` lists cores and boards")
    return name


def _weights(network: Network, given: str | None) -> str | None:
    """What the deployment names, else made-up ones: sizes hardly depend on them."""
    return given if given is not None or network.weights_path is not None else "random:1"


def _print_forecast(found: Forecast) -> None:
    from mnetdsl.backends.runners import runner_of
    from mnetdsl.cli.console import print_table

    rows = [
        (layer.name, layer.operation, "not known" if layer.instructions is None else _count(layer.instructions))
        for layer in found.layers
    ]
    unknown = sum(layer.instructions is None for layer in found.layers)
    total = f"{found.instructions:,}" if found.instructions is not None else "not known"
    print()
    print_table((f"ON {found.core.upper()}", "", "INSTRUCTIONS"), [*rows, ("total", "", total)], (False, False, True))
    print()
    if unknown:
        emulator = runner_of(found.core)
        counted = "no emulator counts them" if emulator is None else f"`mnet bench --on {emulator}` counts all"
        print(f"{unknown} layers run kernels that were not measured on {found.core}; {counted}")
    if found.flash is None or found.ram is None:
        print(f"flash  {found.constants:,} bytes of constants; to know the code: {found.why}")
        print(f"RAM    {found.arena:,} bytes of arena")
        _print_arenas(found)
        return
    print(
        f"flash  {found.flash:,} bytes: code {found.code:,}, constants {found.constants:,}, "
        f"{found.weights:,} of them weights"
    )
    print(
        f"RAM    {found.ram:,} bytes: arena {found.arena:,}, context {found.context:,}, library {found.variables:,}; "
        "stack, inputs and outputs are the caller's"
    )
    _print_arenas(found)


def _print_arenas(found: Forecast) -> None:
    """What is used of each memory of a part, the least that it could be, and what meets there."""
    total = sum(arena.accesses for arena in found.arenas)
    for arena, met in zip(found.arenas, found.peaks, strict=True):
        share = f", {100 * arena.accesses / total:.0f} % of all bytes accessed" if len(found.arenas) > 1 else ""
        state = f": {arena.excess:,} too many" if arena.excess else ""
        room = "" if arena.available is None else f" of {arena.available:,}"
        name = arena.memory or "arena"
        print(f"       {name}: {arena.bytes:,}{room} bytes, lower bound {arena.lower_bound:,}{share}{state}")
        if met:
            print(f"         at its peak: {_names(met)}")


def _names(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _plan(network: Network) -> Plan | None:
    """The arena of portable C; None for a network that C cannot run, which is no reason to hide its shapes."""
    from mnetdsl.diagnostics import MnetError

    try:
        return network.plan()
    except MnetError:
        return None


def _memory_json(plan: Plan) -> dict[str, object]:
    return {
        "arena_bytes": plan.arena_bytes,
        "arena_lower_bound": plan.lower_bound,
        "peak": [{"name": b.name, "offset": b.offset, "bytes": b.size} for b in plan.peak_buffers],
    }


def _print_memory(plan: Plan) -> None:
    peak = " and ".join(buffer.name for buffer in plan.peak_buffers)
    least = f"at least {plan.lower_bound:,}"
    print(f"{plan.arena_bytes:,} bytes of RAM as portable C ({least}){': ' + peak if peak else ''}")


def _print_text(summary: Summary) -> None:
    from mnetdsl.cli.console import print_table

    print(summary.name)
    for kind, ports in (("input", summary.inputs), ("output", summary.outputs)):
        for port in ports:
            print(f"  {kind} {port.name}: {_port(port)}")
    print()
    rows = [
        (
            group[0].name,
            " ".join(layer.op for layer in group),
            "x".join(map(str, group[-1].shape)),
            _count(sum(layer.parameters for layer in group)),
            _count(sum(layer.macs for layer in group)),
        )
        for group in _groups(summary.layers)
    ]
    print_table(
        ("LAYER", "OPERATIONS", "SHAPE", "PARAMETERS", "MACS"),
        [*rows, ("total", "", "", _count(summary.parameters), _count(summary.macs))],
        (False, False, True, True, True),
    )
    print()
    print(f"{summary.parameters:,} parameters, {_millions(summary.macs)} multiply-accumulates")
    print(f"{summary.weight_bytes:,} bytes of weights, {summary.statistics:,} batch-norm statistics included")


def _groups(layers: Sequence[LayerCost]) -> list[list[LayerCost]]:
    """Layers, each with the batch norm and activation that alone read it."""
    readers: dict[str, int] = {}
    for layer in layers:
        for name in layer.inputs:
            readers[name] = readers.get(name, 0) + 1
    groups: list[list[LayerCost]] = []
    for layer in layers:
        last = groups[-1][-1].name if groups else ""
        if layer.op in _MERGED and layer.inputs == (last,) and readers[last] == 1:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


def _port(port: PortType) -> str:
    return f"{port.element}[{', '.join(map(str, port.shape))}]"


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _millions(number: int) -> str:
    return f"{number / 1e6:,.2f} M" if number >= 1_000_000 else f"{number:,}"
