"""`mnet check`: everything that is wrong in a file, for people, scripts and editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import file_argument, parse_assignments

if TYPE_CHECKING:
    from mnetdsl.sema.values import Constant


@click.command(
    epilog="""\b
Examples:
  mnet check net.mnet
  mnet check mobilenet_v2 --set alpha=0.35 --set resolution=96
  mnet check net.mnet --format sarif > net.sarif
"""
)
@file_argument
@click.option(
    "--set",
    "parameters",
    callback=parse_assignments,
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a parameter of the models, such as alpha=0.5. May be repeated.",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="json and sarif go to stdout, for scripts and editors.",
)
def command(file: str, parameters: Mapping[str, Constant], layout: str) -> None:
    """Check syntax, names, types and shapes of FILE.

    Every model and deployment in FILE is expanded, and deployments are held to the flash and RAM of their target.
    Exits with 1 where something is wrong, with 3 where only a budget is exceeded.
    """
    from mnetdsl.api import check
    from mnetdsl.cli.console import print_json, show, talk
    from mnetdsl.diagnostics import ExitCode, MnetError, Severity
    from mnetdsl.diagnostics.codes import BUDGET_CODES

    try:
        diagnostics = check(file, **parameters)
    except MnetError as problem:
        if layout == "text":
            raise
        diagnostics = problem.diagnostics  # what reads them gets its object for a file that is not there, too
    if layout == "text":
        show(diagnostics)
    else:
        from mnetdsl.diagnostics.structured import as_json, as_sarif

        print_json(as_json(diagnostics) if layout == "json" else as_sarif(diagnostics))
    errors = [diagnostic.code for diagnostic in diagnostics if diagnostic.severity is Severity.ERROR]
    if errors:
        only_budget = all(code in BUDGET_CODES for code in errors)
        raise click.exceptions.Exit(ExitCode.OVER_BUDGET if only_budget else ExitCode.USER_ERROR)
    if layout == "text":
        talk(f"{file}: no errors")
