"""One thread a test process: the suite runs in parallel by processes."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
