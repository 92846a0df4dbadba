"""What docs/iree.md tells people to do works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnetdsl
from mnetdsl.backends.iree.versions import IREE_VERSION

PAGE = (Path(__file__).parents[3] / "docs" / "iree.md").read_text()


def test_a_compiled_module_runs_from_python_and_from_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.mnet").write_text(
        "mnet 1\nmodel net() {\n  input image: u8[96, 96, 3] { mean = 127.5, std = 127.5 }\n"
        "  x = conv2d(image, 4, kernel = 3, stride = 8)\n  output logits = dense(global_avg_pool(x), 5)\n}\n"
    )
    network = mnetdsl.load("net.mnet").with_weights("random:1")
    network.compile("iree-cpu", "build/net")

    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(program, "docs/iree.md", "exec"), names)
    image = np.zeros((1, 96, 96, 3), np.uint8)
    expected = network.run({"image": image})["logits"].astype(np.float32)
    np.testing.assert_allclose(names["logits"], expected, atol=1e-5 * float(np.abs(expected).max()))

    np.save("image.npy", image)
    (command,) = re.findall(r"^(iree-run-module .*)$", PAGE, re.MULTILINE)
    tool, *arguments = shlex.split(command)
    subprocess.run([Path(sys.executable).with_name(tool), *arguments], check=True, capture_output=True)
    np.testing.assert_allclose(np.load("logits.npy"), expected, atol=1e-5 * float(np.abs(expected).max()))


def test_the_page_names_the_pinned_version() -> None:
    assert f"pinned to one version, {IREE_VERSION}:" in PAGE
