"""Scripts of this repository, such as benchmarks: their mistakes are shown as those of `mnet`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from mnetdsl.cli.boundary import guarded, show_problems


def run_script(work: Callable[[], None]) -> int:
    """The exit code of a script of this repository, a benchmark for instance: `sys.exit(run_script(main))`.

    What its user does wrong is shown as `mnet` shows it; a bug shows where it is, since developers run scripts.
    """

    def shown() -> int:
        from mnetdsl.diagnostics import ExitCode, MnetError

        try:
            work()
        except MnetError as problem:
            show_problems(problem.diagnostics)
            return problem.exit_code
        return ExitCode.OK

    return guarded(shown)


def count(text: str) -> int:
    """A number from 1 on, as a script's option takes it: `add_argument("--rounds", type=count)`."""
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def counts(text: str) -> tuple[int, ...]:
    """Numbers from 1 on, with commas between them: `1,2`."""
    return tuple(count(word) for word in text.split(","))
