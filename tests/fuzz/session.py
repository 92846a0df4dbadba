"""What all fuzzers share: the command line, the clock, and what becomes of a finding."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Protocol

from mnetdsl.diagnostics import MnetError
from mnetdsl.diagnostics.structured import as_json
from mnetdsl.diagnostics.text import render
from mnetdsl.sema import check_text

ROOT = Path(__file__).resolve().parents[2]
SLOW = 10.0
MAX_MEMORY = 256 << 20


def fuzz(
    description: str | None,
    name: str,
    inputs: Callable[[Random, int], Iterator[bytes]],
    attempt: Callable[[bytes], bool],
) -> int:
    """Tries one of `inputs` after the other until the time is up; the exit status.

    description: of the command. name: `KIND.SUFFIX` of the file that a finding is written to. inputs: endless, from
    a source of random numbers and the number that it was seeded with. attempt: raises whatever is wrong with how an
    input is treated; whether it was accepted.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    made = inputs(Random(options.seed), options.seed)
    end = time.monotonic() + options.seconds
    count = accepted = 0
    while time.monotonic() < end:
        data = next(made)
        try:
            accepted += attempt(data)
        except Exception:  # the finding itself, whatever its type
            traceback.print_exc()
            kind, _, suffix = name.partition(".")
            path = ROOT / "build" / "fuzz" / f"{kind}-{options.seed}-{count}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            print(f"found: {path.relative_to(ROOT)}", file=sys.stderr)
            return 1
        count += 1
    print(f"{count} inputs, {accepted} of them accepted, nothing found")
    return 0


class Imported(Protocol):
    """What importers give."""

    @property
    def files(self) -> Mapping[str, bytes]: ...


def try_import(read: Callable[..., Imported], data: bytes, name: str, missing: tuple[str, ...] = ()) -> bool:
    """Whether `read` imports `data`, called `name`, as a network that checks.

    Raises where `read` raises anything but `MnetError`, is slow or takes much memory, of which nothing is traced before
    `tracemalloc` is started. missing: codes of files that lie nowhere here.
    """
    begin = time.process_time()  # of this process alone: others may have the machine
    tracemalloc.reset_peak()
    imported = None
    try:
        imported = read(data, name)
    except MnetError as problem:
        render(problem.diagnostics, color=True)
        as_json(problem.diagnostics)
    if tracemalloc.get_traced_memory()[1] > MAX_MEMORY:
        raise AssertionError(f"took {tracemalloc.get_traced_memory()[1]} bytes")
    if time.process_time() - begin > SLOW:
        raise AssertionError(f"took {time.process_time() - begin:.1f} s")
    if imported is None:
        return False
    problems = [each for each in check_text(imported.files["net.mnet"].decode()) if each.code not in missing]
    if problems:
        raise AssertionError(f"what was written does not check: {problems[0].message}")
    return True
