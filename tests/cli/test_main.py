"""The boundary around every command: whatever happens becomes a message and an exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import click
import pytest

from mnetdsl.cli import commands
from mnetdsl.cli.console import table_lines, talk_of_files
from mnetdsl.cli.main import main
from mnetdsl.diagnostics import ExitCode, MnetError, error
from tests.cli.process import COMMAND, environment, mnet, refused

HEAVY = ("numpy", "lark", "iree", "torch", "jinja2", "PIL", "safetensors", "rich", "scipy")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["summary", "--help"], ["compile", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"import sys; from mnetdsl.cli.main import main; main({arguments!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded.isdisjoint(HEAVY)


def test_help_names_every_command() -> None:
    result = mnet("--help")
    assert result.returncode == 0
    for name, entry in commands.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(entry.help)}$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_has_help_with_examples(name: str) -> None:
    result = mnet(name, "--help")
    assert result.returncode == 0
    assert "Examples:" in result.stdout
    assert f"\n    mnet {name}" in result.stdout


def test_without_a_command_the_help_is_shown_as_a_usage_error() -> None:
    result = mnet()
    assert result.returncode == 2
    assert "Commands:" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["sumary", "x"], "did you mean `mnet summary`?"),
        (["summary"], "missing argument"),
        (["summary"], "for instance `mnet summary mobilenet_v2`"),
        (["compile", "x", "-o", "y"], "--target host-c"),
        (["evaluate", "x", "--data", "y"], "--labels photos/labels.csv"),
        (["summary", "x", "--fromat", "json"], "--format"),
        (["summary", "x", "--format", "xml"], "json"),
        (["summary", "x", "--set", "alpha"], "alpha=0.5"),
        (["summary", "x", "--set", "=1"], "name=value"),
        (["summary", "x", "--set", "alpha="], "needs a value"),
        (["summary", "x", "--set", "a=1", "--set", "a=2"], "twice"),
        (["summary", "x", "extra"], "unexpected"),
        (["new", "x"], "mobilenet_v2"),
        (["summary", ""], "it is empty"),
        (["compile", "mobilenet_v2", "--weights", "random:1", "--target", "host-c", "-o", ""], "it is empty"),
        (["run", "x", "--input", "a.png", "--top", "0"], "0"),
        (["run", "mobilenet_v2", "--weights", "random:1", "--input", "random:1", "--output", "x.txt"], ".npy"),
    ],
)
def test_a_command_line_that_cannot_be_understood(arguments: list[str], hint: str) -> None:
    message = refused(mnet(*arguments), "MN1401", exit_code=ExitCode.USAGE)
    assert hint in message
    assert "--help" in message


@pytest.mark.parametrize("code", ["MN0401", "mn401", "0401", "401"])
def test_a_code_is_explained_however_short_it_is_written(code: str) -> None:
    result = mnet("explain", code)
    assert result.returncode == 0
    assert result.stdout.startswith("# MN0401: ")


def raising(problem: BaseException) -> click.Command:
    def callback() -> None:
        raise problem

    return click.Command("new", callback=callback)


def run_raising(monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> int:
    monkeypatch.setattr(commands.CommandTable, "get_command", lambda *_: raising(problem))
    monkeypatch.setattr("mnetdsl.cli.boundary._silence_stdout", lambda: None)
    return main(["new"])


@pytest.mark.parametrize("problem", [ValueError("wrong\nturn"), KeyError("k"), RecursionError("deep"), OSError(9, "x")])
def test_a_bug_of_ours_leaves_a_reproducer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, problem: Exception
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run_raising(monkeypatch, problem) == ExitCode.INTERNAL
    message = capsys.readouterr().err
    assert "Traceback" not in message
    assert type(problem).__name__ in message
    (log,) = tmp_path.glob("mnet-crash-*.txt")
    assert str(log) in message
    assert "Traceback" in log.read_text()


def test_the_reproducer_holds_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnetdsl.cli.crash import report_crash

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "net.mnet").write_text("mnet 1\n# what the user wrote\n")
    report_crash(ValueError("x"), ["summary", str(tmp_path / "net.mnet"), "missing.mnet", "a\0b.mnet"])
    (log,) = tmp_path.glob("mnet-crash-*.txt")
    assert "# what the user wrote" in log.read_text()
    assert "numpy" in log.read_text()


def test_a_crash_is_reported_even_where_no_file_can_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert run_raising(monkeypatch, ValueError("x")) == ExitCode.INTERNAL
    assert "ValueError" in capsys.readouterr().err


def test_too_little_memory_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run_raising(monkeypatch, MemoryError()) == ExitCode.INTERNAL
    assert "out of memory" in capsys.readouterr().err


@pytest.mark.parametrize("code", [ExitCode.USER_ERROR, ExitCode.OVER_BUDGET, ExitCode.MISMATCH])
def test_an_error_brings_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: ExitCode
) -> None:
    assert run_raising(monkeypatch, MnetError(error("MN0901", "gone"), exit_code=code)) == code
    assert "error[MN0901]: gone" in capsys.readouterr().err


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], problem: BaseException
) -> None:
    assert run_raising(monkeypatch, problem) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    first = subprocess.Popen(
        [*COMMAND, "summary", "mobilenet_v2", "--format", "json"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert first.stdout is not None
    assert first.stderr is not None
    first.stdout.close()
    message = first.stderr.read()
    first.stderr.close()
    assert first.wait(60) == 128 + 13
    assert message == b""


def test_a_full_disk_behind_stdout_is_reported() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "summary", "mobilenet_v2"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "error[MN0908]" in done.stderr
    assert "Traceback" not in done.stderr


def test_results_go_to_stdout_and_messages_to_stderr(folder: Path) -> None:
    good = mnet("summary", folder / "tiny.mnet", "--format", "json")
    assert json.loads(good.stdout)["name"] == "tiny"
    assert good.stderr == ""


def test_color_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    from mnetdsl.cli.console import has_color

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert has_color(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_color(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not has_color(Terminal())
    assert "\x1b" not in mnet("summary", "missing.mnet").stderr


def test_columns_of_words_are_broken_where_a_line_is_too_long_for_the_terminal() -> None:
    header, right = ("NAME", "MAKES", "BYTES", "NOTE"), (False, False, True, False)
    rows = [("a-long-name", "one of two words", "1,000", "three of them here"), ("b", "x", "2", "")]
    assert table_lines(header, rows, right, 200) == table_lines(header, rows, right)
    assert table_lines(header, rows, right, 42) == [
        "NAME         MAKES       BYTES  NOTE",
        "a-long-name  one of two  1,000  three of",
        "             words              them here",
        "b            x               2",
    ]
    assert max(map(len, table_lines(header, rows, right, 10))) == len("a-long-name  words  1,000  three")


LABELLED = """mnet 1

model net() {
  input image: f32[2]
  output logits = relu(image) { labels = ["日本", "b"] }
}
"""


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_an_output_that_cannot_carry_a_character_gets_an_escape(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "net.mnet").write_text(LABELLED, encoding="utf-8")
    command = ("run", "net.mnet", "--weights", "random:1", "--input", "random:1")
    shown, read = (
        mnet(*command, *layout, cwd=tmp_path, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        for layout in ((), ("--format", "json"))
    )
    assert (shown.returncode, read.returncode) == (0, 0), shown.stderr + read.stderr
    assert ("日本" if encoding == "utf-8" else "\\u65e5\\u672c") in shown.stdout
    labels = {entry["label"] for entry in json.loads(read.stdout)["outputs"]["logits"]["top"][0]}
    assert labels == {"日本", "b"}


def test_files_that_were_written_are_listed_as_people_do(capsys: pytest.CaptureFixture[str]) -> None:
    for files in (["a"], ["a", "b"], ["a", "b", "c"]):
        talk_of_files(files)
    assert capsys.readouterr().err.splitlines() == ["wrote a", "wrote a and b", "wrote a, b and c"]
