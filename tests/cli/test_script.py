"""Scripts of the repository end as `mnet` does: one message, the same exit codes, no traceback but for a bug."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mnetdsl.cli.script import count, counts
from tests.cli.process import ROOT, TIMEOUT, environment, refused

SCRIPT = """
import sys, time
import mnetdsl
from mnetdsl.cli.script import run_script

def main() -> None:
    {body}

sys.exit(run_script(main))
"""


def script(folder: Path, body: str) -> subprocess.Popen[str]:
    path = folder / "script.py"
    path.write_text(SCRIPT.format(body=body))
    return subprocess.Popen(
        [sys.executable, path], env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    stdout, stderr = process.communicate(timeout=TIMEOUT)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def test_a_mistake_of_the_user_is_shown_as_by_mnet(tmp_path: Path) -> None:
    message = refused(finished(script(tmp_path, "mnetdsl.load('mobilenet_v9')")), "MN0901")
    assert "did you mean `mobilenet_v" in message


def test_a_bug_shows_where_it_is(tmp_path: Path) -> None:
    result = finished(script(tmp_path, "1 / 0"))
    assert result.returncode == 1
    assert "script.py" in result.stderr
    assert "ZeroDivisionError" in result.stderr


def test_ctrl_c_ends_with_one_word(tmp_path: Path) -> None:
    process = script(tmp_path, "print('ready', flush=True); time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    result = finished(process)
    assert (result.returncode, result.stderr) == (130, "interrupted\n")


def test_a_benchmark_of_an_unknown_network_says_so() -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "dispatches.py", "no_such_network"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert "no_such_network" in refused(result, "MN0901")


def test_numbers_of_options_are_whole_and_positive() -> None:
    assert counts("1,2") == (1, 2)
    for wrong in ("0", "-1", "two", "", "1.5", "²"):
        with pytest.raises(argparse.ArgumentTypeError, match="whole number"):
            count(wrong)
