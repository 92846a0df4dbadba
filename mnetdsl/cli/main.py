"""Entry point of `mnet`: runs a command and turns whatever happens into a message and an exit code.

Nothing but the standard library is imported before the boundary stands, so that Ctrl-C during start-up is quiet too.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

    import click

    from mnetdsl.diagnostics import Diagnostic

EXIT_BROKEN_PIPE = 128 + 13  # SIGPIPE, which Windows does not name
EXIT_TERMINATED = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line (default: the process's own) and returns its exit code, see `ExitCode`."""
    try:
        signal.signal(signal.SIGTERM, _terminate)
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        # What a full pipe still holds is dropped: the user wants out.
        return _interrupted()
    except BrokenPipeError:
        return _broken_pipe()
    except OSError as problem:
        return _stdout_failed(problem)


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
        _show(problem.diagnostics)
        return problem.exit_code
    except click.exceptions.NoArgsIsHelpError as problem:
        print(problem.format_message(), file=sys.stderr)
        return ExitCode.USAGE
    except click.UsageError as problem:
        _show((_usage_diagnostic(problem, arguments),))
        return ExitCode.USAGE
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except OSError as problem:
        if problem.filename is None and problem.errno in (errno.EPIPE, errno.ENOSPC, errno.EIO):
            raise
        return _internal(problem, arguments)
    except Exception as problem:  # the boundary: whatever reaches it is a bug of ours and gets a report
        return _internal(problem, arguments)


def _show(diagnostics: Sequence[Diagnostic]) -> None:
    from mnetdsl.cli.console import show

    sys.stdout.flush()
    show(diagnostics)


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
        help=(*((f"did you mean {hint}",) if separator else ()), f"`{path} --help` lists what it takes"),
    )


def _internal(problem: Exception, arguments: list[str]) -> int:
    from mnetdsl.cli.crash import report_crash
    from mnetdsl.diagnostics import ExitCode

    report_crash(problem, arguments)
    return ExitCode.INTERNAL


def _interrupted() -> int:
    from mnetdsl.diagnostics import ExitCode

    _silence_stdout()
    print("interrupted", file=sys.stderr)
    return ExitCode.INTERRUPTED


def _broken_pipe() -> int:
    """The reader of our output left (`mnet summary net | head`): nothing is wrong, nothing is said."""
    _silence_stdout()
    return EXIT_BROKEN_PIPE


def _stdout_failed(problem: OSError) -> int:
    from mnetdsl.diagnostics import ExitCode, error

    _silence_stdout()
    reason = "the disk is full" if problem.errno == errno.ENOSPC else (problem.strerror or str(problem)).lower()
    help = "free some space, or send the output elsewhere"
    _show((error("MN0908", f"the result cannot be written: {reason}", location="standard output", help=help),))
    return ExitCode.USER_ERROR


def _silence_stdout() -> None:
    """Points stdout at nothing, so that the interpreter's last flush has nowhere to fail."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds like Ctrl-C does, so that temporary files are removed."""
    raise SystemExit(EXIT_TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
