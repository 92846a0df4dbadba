"""`mnet opt`: passes and IR text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import load_network, network_options, place, weights_option

if TYPE_CHECKING:
    from mnetdsl.ir.core import Module
    from mnetdsl.passes.context import Context
    from mnetdsl.sema.values import Constant

IR_SUFFIX = ".mlir"


def _list_passes(context: click.Context, option: click.Parameter, value: bool) -> None:
    """Prints what `-p` takes, and ends."""
    if not value:
        return
    from mnetdsl.passes.catalogue import catalogue

    print(catalogue())
    context.exit()


@click.command(
    epilog="""\b
Examples:
  mnet opt net.mnet
  mnet opt net.mnet -p fold-batch-norm,fuse-activation --print-ir-after-all
  mnet opt net.mnet -p "canonicalize,fold-constants{max-elements=4096}" --remarks -o net.mlir
  mnet opt net.mlir -p none
"""
)
@network_options
@weights_option
@click.option(
    "-p", "--passes", default="float", metavar="LIST", help="Passes between commas. Default: float, the pipeline."
)
@click.option("--print-ir-after-all", is_flag=True, help="Print the IR behind every pass, on stderr.")
@click.option("--remarks", is_flag=True, help="Say what each pass did, and what it did not and why, on stderr.")
@click.option("--timing", is_flag=True, help="Print the time of each pass, on stderr.")
@click.option("-o", "--output", type=place, metavar="FILE", help="Write the IR there instead of to stdout.")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list_passes, help="List the passes.")
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    weights: str | None,
    passes: str,
    print_ir_after_all: bool,
    remarks: bool,
    timing: bool,
    output: str | None,
) -> None:
    """Run passes over FILE and print the IR as MLIR generic text.

    FILE is a .mnet file, a network of the zoo, or .mlir text that `mnet opt` has written. No weights are needed:
    passes write down how changed weights follow from those of the weight file. With --weights they are computed.
    """
    from mnetdsl.cli.console import talk
    from mnetdsl.files import write_whole
    from mnetdsl.ir.printer import print_module
    from mnetdsl.passes.context import Context
    from mnetdsl.passes.pass_manager import run_passes
    from mnetdsl.passes.spec import parse_passes

    chosen = parse_passes(passes)
    module = _load(file, parameters, model, weights, any(item.needs_weights for item in chosen))
    context = Context()
    try:
        run_passes(
            module,
            chosen,
            context,
            after=(lambda done, now: talk(f"// IR after {done}\n{print_module(now)}")) if print_ir_after_all else None,
        )
    finally:
        _report(context, remarks, timing)
    text = print_module(module)
    if output is None:
        print(text, end="")
    else:
        write_whole(output, text.encode())


def _load(
    file: str, parameters: Mapping[str, Constant], model: str | None, weights: str | None, needed: bool
) -> Module:
    """With the weights that are named, or, where a pass needs them, those of the deployment."""
    from mnetdsl.ir.clone import clone

    if not file.endswith(IR_SUFFIX):
        network = load_network(file, parameters, model)
        return clone((network.with_weights(weights) if weights is not None or needed else network).module)
    from mnetdsl.ir.text.lexer import MAX_CHARACTERS
    from mnetdsl.ir.text.reader import read_module
    from mnetdsl.syntax.reader import read_source
    from mnetdsl.weights import load_weights

    if parameters or model is not None:
        raise click.UsageError("--set and --model choose what a .mnet file means; IR text is fixed")
    module = read_module(read_source(file, MAX_CHARACTERS))
    if weights is not None:
        module.resources.update(load_weights(module, weights))
    return module


def _report(context: Context, remarks: bool, timing: bool) -> None:
    from mnetdsl.cli.console import talk

    for remark in context.remarks if remarks else ():
        talk(str(remark))
    total = sum(item.seconds for item in context.timings)
    for item in context.timings if timing else ():
        share = item.seconds / total if total else 0.0
        talk(f"{item.seconds * 1e3:9.2f} ms {share:5.0%}  {item.pass_name}")
    if timing:
        talk(f"{total * 1e3:9.2f} ms 100%  total")
