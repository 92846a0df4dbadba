"""`mnet validate` as users and scripts see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnetdsl.backends import runners
from mnetdsl.backends.numpy_runner import NumpyRunner
from mnetdsl.cli.main import main
from tests.validate.broken import BrokenRunner, CrashingRunner, off_by
from tests.validate.networks import FILTER_LINE, TEXT

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`mnet validate net.mnet …` in a folder that holds the network: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.mnet").write_text(TEXT)
    monkeypatch.setitem(runners.RUNNERS, "right", NumpyRunner)
    monkeypatch.setitem(runners.RUNNERS, "wrong", lambda module: BrokenRunner(module, "filter", off_by(1e-2)))
    monkeypatch.setitem(runners.RUNNERS, "dying", CrashingRunner)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(["validate", "net.mnet", "--weights", "random:1", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def test_agreement_is_a_table_and_exit_code_0(run: Run) -> None:
    code, out, err = run("--on", "right")
    assert (code, err) == (0, "")
    header, numpy_row, row = [line.split() for line in out.splitlines()[2:]]
    assert header == ["BACKEND", "VERDICT", "LAYERS", "WORST", "PLACE", "ABSOLUTE", "RELATIVE"]
    assert numpy_row[:2] == ["numpy", "agrees"]
    assert row[:3] == ["right", "agrees", "6"]


def test_a_mismatch_is_exit_code_4_and_names_layer_and_line(run: Run) -> None:
    code, out, err = run("--on", "right,wrong")
    assert code == 4
    assert "error[MN1301]" in err
    assert "`filter` (depthwise_conv2d)" in err
    assert f"net.mnet:{FILTER_LINE}" in err
    verdicts = {line.split()[0]: line.split()[1] for line in out.splitlines()[3:]}
    assert verdicts == {"numpy": "agrees", "right": "agrees", "wrong": "DIFFERS"}


def test_a_crash_is_exit_code_4_and_the_message_of_the_backend(run: Run) -> None:
    code, out, err = run("--on", "dying,right")
    assert code == 4
    assert "error[MN1227]" in err
    assert "dying    failed" in out
    assert "right    agrees" in out


def test_json_holds_every_layer_with_its_place(run: Run) -> None:
    code, out, _ = run("--on", "wrong", "--format", "json")
    assert code == 4
    report = json.loads(out)
    wrong = report["backends"][1]
    assert (report["model"], report["agrees"], wrong["agrees"]) == ("net", False, False)
    assert wrong["first_past"]["name"] == "filter"
    assert (wrong["first_past"]["file"], wrong["first_past"]["line"]) == ("net.mnet", FILTER_LINE)
    assert [layer["name"] for layer in wrong["layers"]][:3] == ["image", "stem", "filter"]
    assert wrong["worst"]["relative"] >= wrong["first_past"]["relative"] > report["tolerance"]


def test_the_same_seed_gives_the_same_report(run: Run) -> None:
    first, again, other = (run("--on", "wrong", "--format", "json", "--seed", seed)[1] for seed in ("3", "3", "4"))
    assert first == again
    assert first != other


def test_inputs_come_from_a_folder(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir()
    np.save(folder / "a.npy", np.zeros((2, 12, 12, 3), np.uint8))
    np.save(folder / "b.npy", np.full((12, 12, 3), 200, np.uint8))
    (folder / "labels.csv").write_text("a,b\n")
    code, out, _ = run("--on", "right", "--inputs", str(folder), "--format", "json")
    assert code == 0
    assert json.loads(out)["inputs"] == ["a.npy[0]", "a.npy[1]", "b.npy"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (["--on", "iree"], 2, "MN1102"),
        (["--on", ","], 2, "MN1401"),
        (["--inputs", "nowhere"], 1, "MN0901"),
        (["--inputs", "empty"], 2, "MN1403"),
        (["--set", "resolution=0"], 1, "MN"),
        (["--tolerance", "-1"], 2, "MN1401"),
    ],
)
def test_wrong_arguments_are_refused(run: Run, tmp_path: Path, arguments: list[str], exit_code: int, code: str) -> None:
    (tmp_path / "empty").mkdir()
    found, out, err = run(*arguments)
    assert (found, out) == (exit_code, "")
    assert f"error[{code}" in err


def test_a_tolerance_of_zero_is_more_than_float_can_give(run: Run) -> None:
    code, _, err = run("--on", "c", "--tolerance", "0")
    assert code == 4
    assert "MN1301" in err
