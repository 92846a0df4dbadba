"""The scripts of `examples/digits` as modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports `mnist`, `demo` or `train` as Python does that runs one of them, and forgets them afterwards."""
    monkeypatch.syspath_prepend(str(DIGITS))
    yield importlib.import_module
    for name in ("mnist", "demo", "train"):
        sys.modules.pop(name, None)
