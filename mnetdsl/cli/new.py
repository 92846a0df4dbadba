"""`mnet new`: a network of the zoo as a file of the user's own."""

from __future__ import annotations

from pathlib import Path

import click

from mnetdsl.cli.options import place


@click.command(
    epilog="""\b
Examples:
  mnet new net.mnet --from mobilenet_v2
  mnet new models/small.mnet --from mobilenet_v1 --force
"""
)
@click.argument("name", type=place, metavar="NAME.mnet")
@click.option("--from", "source", metavar="NETWORK", help="The network of the zoo to copy, such as mobilenet_v2.")
@click.option("--force", is_flag=True, help="Overwrite NAME.mnet.")
def command(name: str, source: str | None, force: bool) -> None:
    """Copy a network of the zoo, comments and all, to read and to change."""
    from mnetdsl.api import zoo
    from mnetdsl.cli.console import talk
    from mnetdsl.diagnostics import ExitCode, MnetError, error
    from mnetdsl.diagnostics.suggest import did_you_mean
    from mnetdsl.files import read_bytes, write_whole

    networks = zoo()
    listing = f"the zoo has {', '.join(networks)}"
    if source is None:
        raise click.UsageError(f"Missing option '--from': {listing}")
    if source not in networks:
        suggestion = did_you_mean(source, networks)
        help = (f"did you mean `{suggestion}`?", listing) if suggestion else listing
        raise MnetError(
            error("MN1402", f"there is no network `{source}` in the zoo", help=help), exit_code=ExitCode.USAGE
        )
    path = Path(name)
    if not path.suffix:
        path = path.with_suffix(".mnet")
    if path.is_file() and not force:
        raise MnetError(
            error(
                "MN0910",
                "the file exists already and is not overwritten",
                location=str(path),
                help="take another name, or `--force` to replace it",
            )
        )
    write_whole(path, read_bytes(networks[source], what="zoo network"))
    talk(f"wrote {path} from {source}; see it with `mnet summary {path}`")
