"""The installed wheel is complete: it compiles a model in an empty environment, far from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (path,) = folder.glob("mnetdsl-*.whl")
    return path


def test_the_wheel_holds_grammar_templates_blocks_zoo_and_pages(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "mnetdsl/_data/grammars/mnet.lark" in names
    assert "mnetdsl/_data/examples/zoo/mobilenet_v2.mnet" in names
    assert "mnetdsl/std/blocks.mnet" in names
    assert "mnetdsl/diagnostics/pages/MN0401.md" in names
    assert any(name.startswith("mnetdsl/_data/codegen_templates/c/") for name in names)
    assert "mnetdsl/py.typed" in names


def test_an_installed_wheel_compiles_a_model(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    mnet = python.with_name("mnet")
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    work = tmp_path / "work"
    work.mkdir()

    def run(*arguments: str) -> str:
        done = subprocess.run([str(mnet), *arguments], cwd=work, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("new", "net.mnet", "--from", "mobilenet_v2")
    run("check", "net.mnet")
    totals = json.loads(run("summary", "net.mnet", "--format", "json"))["total"]
    assert totals["parameters"] == 3_504_872
    run("compile", "net.mnet", "--weights", "random:1", "--set", "alpha=0.35", "--target", "host-c", "-o", "out")
    assert {path.suffix for path in (work / "out").iterdir()} >= {".c", ".h", ".json"}
