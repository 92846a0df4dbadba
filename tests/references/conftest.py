"""The reference libraries, each as a process of its own environment: `make references` builds them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / "build" / "references"


@dataclass(frozen=True)
class Worker:
    """A worker script that answers requests, one a line."""

    process: subprocess.Popen[str]

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, f"the reference's process ended with status {self.process.wait()}"
        reply: dict[str, Any] = json.loads(line)
        assert "error" not in reply, reply["error"]
        return reply


def _serve(name: str) -> Iterator[Worker]:
    python = ENVIRONMENTS / f".venv-{name}" / "bin" / "python"
    if not python.exists():
        message = f"the environment of {name} is not built: make references"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    process = subprocess.Popen(
        [python, HERE / f"{name}_worker.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield Worker(process)
        if process.stdin is not None:
            process.stdin.close()


@pytest.fixture(scope="session")
def keras_worker() -> Iterator[Worker]:
    yield from _serve("keras")


@pytest.fixture(scope="session")
def timm_worker() -> Iterator[Worker]:
    yield from _serve("timm")
