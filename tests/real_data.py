"""Real models and photographs: not part of the repository, in the folder that `MNET_DATA` names.

By default it is `../shared/data`, seen from the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("MNET_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")).resolve()


def real(path: str) -> Path:
    """What is at `path` in the folder; the test is skipped where it is not there."""
    found = DATA / path
    if not found.exists():
        pytest.skip(f"{found} is not there; MNET_DATA names the folder of real models and photographs")
    return found


def tflite(name: str) -> Path:
    return real(f"models/{name}.tflite")
