"""What a user without the extra is told; needs no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mnetdsl import training
from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Module


def test_a_missing_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MnetError) as caught:
        training.to_torch(Module("net"))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "MN1210"
    assert "pip install torch" in diagnostic.help[0]


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, mnetdsl.training; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
