"""`mnet targets`: what can be compiled for."""

from __future__ import annotations

import click

from mnetdsl.cli.options import json_option


@click.command(
    epilog="""\b
Examples:
  mnet targets
  mnet targets --format json
"""
)
@json_option
def command(layout: str) -> None:
    """List the targets of `mnet compile` and the backends of `mnet run` and `mnet validate`."""
    from mnetdsl.backends.runners import RUNNERS
    from mnetdsl.backends.targets import TARGETS
    from mnetdsl.cli.console import print_json, print_table

    if layout == "json":
        print_json(
            {"targets": [{"name": name, "makes": makes} for name, makes in TARGETS.items()], "on": list(RUNNERS)}
        )
        return
    print_table(("TARGET", "MAKES"), list(TARGETS.items()), (False, False))
    print(f"\nmnet run and mnet validate take --on {', '.join(RUNNERS)}")
