"""`mnet explain`: what a diagnostic code means."""

from __future__ import annotations

import click


@click.command(
    epilog="""\b
Examples:
  mnet explain MN0401
  mnet explain
"""
)
@click.argument("code", metavar="[CODE]", required=False)
def command(code: str | None) -> None:
    """Explain a diagnostic code by a wrong and a right example; without CODE, list all codes."""
    from mnetdsl.diagnostics import ExitCode, MnetError, error
    from mnetdsl.diagnostics.codes import CODES
    from mnetdsl.diagnostics.explain import page
    from mnetdsl.diagnostics.suggest import did_you_mean

    if code is None:
        for known, title in CODES.items():
            print(f"{known}  {title}")
        return
    name = _whole(code.upper())
    if name not in CODES:
        suggestion = did_you_mean(name, CODES)
        raise MnetError(
            error(
                "MN1402",
                f"there is no diagnostic code `{code}`",
                help=f"did you mean {suggestion}? " * bool(suggestion) + "`mnet explain` lists all codes",
            ),
            exit_code=ExitCode.USAGE,
        )
    print(page(name), end="")


def _whole(code: str) -> str:
    """`401`, `0401` and `MN401` are MN0401."""
    number = code.removeprefix("MN")
    return f"MN{number:0>4}" if number.isascii() and number.isdecimal() else code
