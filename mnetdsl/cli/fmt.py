"""`mnet fmt`: the one layout."""

from __future__ import annotations

from pathlib import Path

import click

from mnetdsl.cli.options import place


@click.command(
    epilog="""\b
Examples:
  mnet fmt net.mnet
  mnet fmt --check *.mnet
"""
)
@click.argument("files", type=place, metavar="FILES", nargs=-1, required=True)
@click.option(
    "--check", is_flag=True, help="Change nothing; exit with 1 and name the files that are not in the layout."
)
def command(files: tuple[str, ...], check: bool) -> None:
    """Put FILES into the one layout; comments stay.

    A file that cannot be parsed is left as it is, and so are all others of the same call.
    """
    from mnetdsl.api import find
    from mnetdsl.cli.console import talk
    from mnetdsl.diagnostics import Diagnostic, ExitCode, MnetError
    from mnetdsl.files import write_whole
    from mnetdsl.syntax.formatter import format_source
    from mnetdsl.syntax.reader import read_source

    changed: dict[Path, str] = {}
    problems: list[Diagnostic] = []
    for name in files:
        try:
            source = read_source(find(name) if check else name)
            text = format_source(source)
        except MnetError as problem:
            problems.extend(problem.diagnostics)
            continue
        if text != source.text:
            changed[Path(source.path)] = text
    if problems:
        raise MnetError(*problems)
    for path, text in changed.items():
        if check:
            print(path)
        else:
            write_whole(path, text.encode())
            talk(f"formatted {path}")
    if check and changed:
        talk(f"{len(changed)} of {len(files)} files are not in the layout; `mnet fmt` puts them into it")
        raise click.exceptions.Exit(ExitCode.USER_ERROR)
