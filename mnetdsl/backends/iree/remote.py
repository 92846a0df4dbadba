"""A module loaded in a process of its own: when a GPU driver crashes, only that process goes with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, cast

from mnetdsl.backends.iree.session import Array, SessionError
from mnetdsl.backends.iree.wire import Header, arrays_of, receive, send, send_arrays

PATIENCE = 5.0
"""Seconds that the process gets to end by itself."""


class RemoteSession:
    """As `session.Session`, and `SessionError` at stage `died` where the process ended on its own."""

    def __init__(self, vmfb: bytes, function: str, driver: str) -> None:
        package = Path(__file__).resolve().parents[3]
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        held = ExitStack()
        self._errors, name = tempfile.mkstemp()
        Path(name).unlink()
        held.callback(os.close, self._errors)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mnetdsl.backends.iree.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self._requests = cast("BinaryIO", self._process.stdin)
        self._replies = cast("BinaryIO", self._process.stdout)
        held.callback(_stop, self._process, self._requests, self._replies)
        self.close = weakref.finalize(self, held.close)
        """Ends the process; happens by itself when the session is dropped."""
        header, _ = self._exchange(lambda: send(self._requests, {"function": function, "driver": driver}, [vmfb]))
        self.device: str = header["device"]

    def call(self, inputs: Sequence[Array], outputs: Sequence[tuple[tuple[int, ...], str]]) -> list[Array]:
        """As `Session.call`."""
        return arrays_of(*self._exchange(lambda: send_arrays(self._requests, {"outputs": list(outputs)}, inputs)))

    def _exchange(self, request: Callable[[], None]) -> tuple[Header, list[bytes]]:
        try:
            request()
            header, blobs = receive(self._replies)
        except (EOFError, BrokenPipeError):
            raise SessionError("died", self._last_words()) from None
        if "stage" in header:
            raise SessionError(header["stage"], header["detail"])
        return header, blobs

    def _last_words(self) -> str:
        status = self._process.wait(PATIENCE)
        ending = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        said = os.pread(self._errors, os.fstat(self._errors).st_size, 0)
        lines = said.decode("utf-8", "replace").strip().splitlines()
        return "; ".join([ending, *lines[-1:]])


def _stop(process: subprocess.Popen[bytes], requests: BinaryIO, replies: BinaryIO) -> None:
    """The end of its input tells the worker to leave."""
    with suppress(BrokenPipeError):
        requests.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    replies.close()
