"""The table of all commands. A command's module is imported when it runs, so that `mnet --help` stays instant."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import click

from mnetdsl.version import __version__


@dataclass(frozen=True)
class Entry:
    """A command: the module whose `command` it is, and its line in `mnet --help`."""

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "new": Entry("mnetdsl.cli.new", "Start a network of your own from the zoo."),
    "import": Entry("mnetdsl.cli.import_", "Take over a network or checkpoint of another tool."),
    "transfer": Entry("mnetdsl.cli.transfer", "Put trained weights under a head of your own."),
    "check": Entry("mnetdsl.cli.check", "Check syntax, names, types and shapes."),
    "fmt": Entry("mnetdsl.cli.fmt", "Put files into the one layout."),
    "summary": Entry("mnetdsl.cli.summary", "Show layers, shapes, parameters and multiply-accumulates."),
    "run": Entry("mnetdsl.cli.run", "Run a network on an image."),
    "quantize": Entry("mnetdsl.cli.quantize", "Turn a float network into int8."),
    "compile": Entry("mnetdsl.cli.compile", "Make C sources or an IREE module."),
    "export": Entry("mnetdsl.cli.export", "Write .tflite or .onnx for other tools."),
    "validate": Entry("mnetdsl.cli.validate", "Compare backends with the interpreter, layer by layer."),
    "evaluate": Entry("mnetdsl.cli.evaluate", "Measure accuracy on labelled images."),
    "bench": Entry("mnetdsl.cli.bench", "Measure how fast a network runs."),
    "targets": Entry("mnetdsl.cli.targets", "List what can be compiled for."),
    "opt": Entry("mnetdsl.cli.opt", "Run passes and print the IR."),
    "explain": Entry("mnetdsl.cli.explain", "Explain a diagnostic code with examples."),
}

EXAMPLES = """\b
Examples:
  mnet new net.mnet --from mobilenet_v2
  mnet summary net.mnet --set alpha=0.5
  mnet compile net.mnet --weights random:1 --target host-c -o build/net
"""


class CommandTable(click.Group):
    """A group whose commands are found in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = importlib.import_module(entry.module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.command is no click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from mnetdsl.diagnostics.suggest import did_you_mean

            suggestion = did_you_mean(name, list(COMMANDS))
            hint = f" Did you mean `mnet {suggestion}`?" if suggestion else ""
            raise click.UsageError(f"No such command `{name}`.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=CommandTable, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mnet", message="%(prog)s %(version)s")
def mnet() -> None:
    """Compile MobileNets: .mnet text to C for microcontrollers and to IREE modules."""
