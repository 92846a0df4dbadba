"""`mnet opt`: what goes to stdout, to stderr and to files, for .mnet and for .mlir."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mnetdsl.cli.main import main
from mnetdsl.diagnostics import ExitCode, MnetError
from mnetdsl.ir.text.reader import read_module
from mnetdsl.passes.fuse_activation import FuseActivation
from mnetdsl.source import SourceFile

Mnet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def mnet(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mnet:
    """Runs a command in `folder`: exit code, stdout, stderr."""
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["opt", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def printed(mnet: Mnet, *arguments: str) -> str:
    code, out, err = mnet(*arguments)
    assert (code, err) == (0, "")
    return out


def opcodes(text: str) -> list[str]:
    module = read_module(SourceFile("out.mlir", text))
    return [op.opcode for op in module.graph.operations if op.opcode != "constant"]


def test_the_float_pipeline_is_the_default_and_needs_no_weights(mnet: Mnet) -> None:
    text = printed(mnet, "tiny.mnet")
    assert opcodes(text) == ["normalize", "conv2d", "global_avg_pool", "dense"]
    assert 'loc("stem.conv"("tiny.mnet":8:7))' in text
    assert text == printed(mnet, "tiny.mnet", "-p", "float")


def test_no_pass_prints_the_network_as_written(mnet: Mnet) -> None:
    text = printed(mnet, "tiny.mnet", "-p", "none")
    assert opcodes(text) == ["normalize", "conv2d", "batch_norm", "relu6", "global_avg_pool", "dense"]


def test_parameters_of_the_model_can_be_set(mnet: Mnet) -> None:
    code, _, err = mnet("tiny.mnet", "--set", "classes=7")
    assert (code, "MN0614" in err) == (ExitCode.USER_ERROR, True)


def test_ir_after_each_pass_goes_to_stderr(mnet: Mnet) -> None:
    code, out, err = mnet("tiny.mnet", "-p", "fold-batch-norm,fuse-activation", "--print-ir-after-all")
    assert code == 0
    first, second = re.split(r"^// IR after .*\n", err, flags=re.MULTILINE)[1:]
    assert opcodes(first) == ["normalize", "conv2d", "relu6", "global_avg_pool", "dense"]
    assert opcodes(second) == ["normalize", "conv2d", "global_avg_pool", "dense"]
    assert second.strip() == out.strip()


def test_remarks_and_times_go_to_stderr(mnet: Mnet) -> None:
    code, out, err = mnet("tiny.mnet", "-p", "fold-batch-norm,fuse-activation", "--remarks", "--timing")
    assert code == 0
    assert opcodes(out)
    assert err.splitlines()[:2] == [
        "fold-batch-norm: folded `stem.norm` into `stem.conv` (tiny.mnet:8)",
        "fuse-activation: fused relu6 into `stem.conv` (tiny.mnet:8)",
    ]
    assert re.fullmatch(r"( +[\d.]+ ms +\d+%  \S+\n){3}", "".join(err.splitlines(keepends=True)[2:]))


def test_text_written_to_a_file_reads_back_and_takes_the_weights_of_the_network(mnet: Mnet, folder: Path) -> None:
    assert printed(mnet, "tiny.mnet", "-o", "out.mlir") == ""
    text = (folder / "out.mlir").read_text()
    assert printed(mnet, "out.mlir", "-p", "none") == text
    assert printed(mnet, "out.mlir", "-p", "none", "--weights", "random:1") == text
    assert printed(mnet, "out.mlir", "--weights", "random:1") == text


def test_the_list_names_passes_options_and_pipelines(mnet: Mnet) -> None:
    text = printed(mnet, "--list")
    assert "fold-constants" in text
    assert "max-elements=1048576" in text
    assert "  float " in text


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["tiny.mnet", "-p", "fold-everything"], "MN1011", 2),
        (["tiny.mnet", "-p", "fold-pad{x=1}"], "MN1012", 2),
        (["missing.mlir"], "MN0901", 1),
        (["out.mlir", "--set", "alpha=1"], "MN1401", 2),
        (["tiny.mnet", "-o", "no/folder/out.mlir"], "MN0909", 1),
        ([], "MN1401", 2),
    ],
)
def test_mistakes(mnet: Mnet, arguments: list[str], code: str, exit_code: int) -> None:
    status, out, err = mnet(*arguments)
    assert (status, out) == (exit_code, "")
    assert f"error[{code}]" in err


@pytest.mark.parametrize(
    ("text", "code"),
    [(b"", "MN0906"), (b"\xff\xfe", "MN0905"), (b'"builtin.module"() ({', "MN1002"), (b"mnet 1\n", "MN1002")],
)
def test_ir_text_that_is_none(mnet: Mnet, folder: Path, text: bytes, code: str) -> None:
    (folder / "bad.mlir").write_bytes(text)
    status, out, err = mnet("bad.mlir", "-o", "out.mlir")
    assert (status, out) == (ExitCode.USER_ERROR, "")
    assert f"error[{code}]" in err
    assert not (folder / "out.mlir").exists()


def test_remarks_are_printed_even_where_a_later_pass_is_refused(mnet: Mnet, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        from mnetdsl.diagnostics import error

        raise MnetError(error("MN1013", "no"))

    monkeypatch.setattr(FuseActivation, "run", refuse)
    status, out, err = mnet("tiny.mnet", "-p", "fold-batch-norm,fuse-activation", "--remarks")
    assert (status, out) == (ExitCode.USER_ERROR, "")
    assert err.startswith("fold-batch-norm: folded")


def test_a_pass_that_fails_is_our_bug_and_leaves_what_reproduces_it(
    mnet: Mnet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(FuseActivation, "run", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    status, out, err = mnet("tiny.mnet", "-p", "fold-batch-norm,fuse-activation")
    assert (status, out) == (ExitCode.INTERNAL, "")
    assert "pass `fuse-activation` failed: KeyError" in err
    (log,) = tmp_path.glob("mnet-crash-*.txt")
    command, text = log.read_text().split("---- before.mlir: ")[1].split("\n", 1)
    assert command == 'mnet opt before.mlir -p "fuse-activation"'
    assert opcodes(text) == ["normalize", "conv2d", "relu6", "global_avg_pool", "dense"]
