"""iree-compile in a subprocess: what happens when it refuses, crashes, hangs or is not there."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from mnetdsl.backends.iree import compiler
from mnetdsl.backends.iree.compiler import compile_mlir, compiler_path
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.diagnostics import Diagnostic, MnetError

CPU = TARGETS["iree-cpu"]


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnetdsl.backends.iree.compiler.tempfile.tempdir", str(tmp_path))


def refusal(text: str) -> Diagnostic:
    with pytest.raises(MnetError) as refused:
        compile_mlir(text, "net", CPU)
    (diagnostic,) = refused.value.diagnostics
    return diagnostic


def pretend_compiler(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "pretend-iree-compile"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(compiler, "compiler_path", lambda: program)


def test_what_the_compiler_says_is_quoted_and_the_module_kept() -> None:
    text = "func.func @main() -> f32 { return }"
    diagnostic = refusal(text)
    assert diagnostic.code == "MN1223"
    assert "exit status 1" in diagnostic.message
    assert any("error:" in note for note in diagnostic.notes)
    assert diagnostic.location is not None
    assert Path(diagnostic.location).name == "net.mlir"
    assert Path(diagnostic.location).read_text() == text


def test_the_command_in_the_message_reproduces_the_failure() -> None:
    diagnostic = refusal("func.func @main() -> f32 { return }")
    command = diagnostic.help[0].partition("`")[2].rpartition("`")[0]
    program, *arguments = shlex.split(command)
    assert program == "iree-compile"
    again = subprocess.run([str(compiler_path()), *arguments], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "error:" in again.stderr


def test_a_crash_is_a_message_with_the_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_compiler(
        tmp_path, "cat > /dev/null; echo 'LLVM ERROR: Cannot split the result' >&2; kill -ABRT $$", monkeypatch
    )
    diagnostic = refusal("module {}")
    assert diagnostic.code == "MN1223"
    assert "crashed (SIGABRT)" in diagnostic.message
    assert diagnostic.notes == ("LLVM ERROR: Cannot split the result",)
    assert diagnostic.location is not None
    kept = Path(diagnostic.location)
    assert kept.read_text() == "module {}"
    assert "Cannot split" in (kept.parent / "stderr.txt").read_text()


def test_a_compiler_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_compiler(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(compiler, "TIME_LIMIT", 0.2)
    diagnostic = refusal("module {}")
    assert diagnostic.code == "MN1223"
    assert "did not end" in diagnostic.message


def test_success_without_a_module_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_compiler(tmp_path, "exit 0", monkeypatch)
    assert refusal("module {}").code == "MN1223"


def test_a_compiler_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "compiler_path", lambda: tmp_path / "nothing")
    diagnostic = refusal("module {}")
    assert diagnostic.code == "MN1222"
    assert "pip install" in diagnostic.help[0]
