"""Entry point of `mnet`: runs a command and turns whatever happens into a message and an exit code."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnetdsl.cli.boundary import guarded, is_of_output, show_problems

if TYPE_CHECKING:
    import click

    from mnetdsl.diagnostics import Diagnostic


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (default: the process's own) and returns its exit code, see `ExitCode`."""
    return guarded(lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    import click

    from mnetdsl.cli.commands import mnet
    from mnetdsl.cli.console import show_warning
    from mnetdsl.diagnostics import ExitCode, MnetError

    warnings.showwarning = show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Labels and names hold any character; pipes on Windows and the C locale do not. Python's stderr does the same.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with mnet.make_context("mnet", list(arguments)) as context:
            mnet.invoke(context)
        return ExitCode.OK
    except MnetError as problem:
        show_problems(problem.diagnostics)
        return problem.exit_code
    except click.exceptions.NoArgsIsHelpError as problem:
        print(problem.format_message(), file=sys.stderr)
        return ExitCode.USAGE
    except click.UsageError as problem:
        show_problems((_usage_diagnostic(problem, arguments),))
        return ExitCode.USAGE
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except OSError as problem:
        if is_of_output(problem):
            raise
        return _internal(problem, arguments)
    except Exception as problem:  # the boundary: whatever reaches it is a bug of ours and gets a report
        return _internal(problem, arguments)


def _usage_diagnostic(problem: click.UsageError, arguments: Sequence[str]) -> Diagnostic:
    """A mistake on the command line, in the look of all other messages."""
    from mnetdsl.cli.commands import COMMANDS
    from mnetdsl.diagnostics import error

    path = "mnet" if problem.ctx is None else problem.ctx.command_path
    if problem.ctx is None and arguments and arguments[0] in COMMANDS:
        path = f"mnet {arguments[0]}"
    message = problem.format_message()
    text, separator, hint = message.partition(" (Did you mean " if " (Did you mean " in message else " Did you mean ")
    message = text.rstrip(".").replace(" requires an argument", " needs a value")
    if separator.startswith(" ("):
        hint = hint.removesuffix(")")
    first = ("No ", "Missing ", "Got ", "Invalid ", "Option ")
    return error(
        "MN1401",
        message[:1].lower() + message[1:] if message.startswith(first) else message,
        help=(
            *((f"did you mean {hint}",) if separator else ()),
            *_example(problem),
            f"`{path} --help` lists what it takes",
        ),
    )


def _example(problem: click.UsageError) -> tuple[str, ...]:
    """Of a command that lacks something: the first example of its help that has it."""
    import click

    if not isinstance(problem, click.MissingParameter) or problem.ctx is None:
        return ()
    options = problem.param.opts if isinstance(problem.param, click.Option) else []
    for line in (problem.ctx.command.epilog or "").splitlines():
        words = line.partition("  #")[0].split()
        if words[:1] == ["mnet"] and (not options or not set(options).isdisjoint(words)):
            return (f"for instance `{' '.join(words)}`",)
    return ()


def _internal(problem: Exception, arguments: list[str]) -> int:
    from mnetdsl.cli.crash import report_crash
    from mnetdsl.diagnostics import ExitCode

    report_crash(problem, arguments)
    return ExitCode.INTERNAL


if __name__ == "__main__":
    sys.exit(main())
