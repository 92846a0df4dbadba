"""The outermost lines of a process: Ctrl-C, a closed pipe and a full disk become an exit code and at most one message.

Nothing but the standard library is imported before the boundary stands, so that Ctrl-C during start-up is quiet too.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

    from mnetdsl.diagnostics import Diagnostic

EXIT_BROKEN_PIPE = 128 + 13  # SIGPIPE, which Windows does not name
EXIT_TERMINATED = 128 + signal.SIGTERM


def guarded(work: Callable[[], int]) -> int:
    """The exit code of `work`, or of what ended it, see `ExitCode`."""
    try:
        signal.signal(signal.SIGTERM, _terminate)
        code = work()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        # What a full pipe still holds is dropped: the user wants out.
        return _interrupted()
    except BrokenPipeError:
        return _broken_pipe()
    except OSError as problem:
        if problem.filename is not None:
            raise
        return _stdout_failed(problem)


def is_of_output(problem: OSError) -> bool:
    """Whether it says that stdout takes no more, and not that some file of ours is amiss."""
    return problem.filename is None and problem.errno in (errno.EPIPE, errno.ENOSPC, errno.EIO)


def show_problems(diagnostics: Sequence[Diagnostic]) -> None:
    """On stderr, behind all that was printed so far."""
    from mnetdsl.cli.console import show

    sys.stdout.flush()
    show(diagnostics)


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
    show_problems((error("MN0908", f"the result cannot be written: {reason}", location="standard output", help=help),))
    return ExitCode.USER_ERROR


def _silence_stdout() -> None:
    """Points stdout at nothing, so that the interpreter's last flush has nowhere to fail."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds like Ctrl-C does, so that temporary files are removed."""
    raise SystemExit(EXIT_TERMINATED)
