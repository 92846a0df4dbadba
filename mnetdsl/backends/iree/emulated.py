"""Modules for another processor than the one at hand: IREE's own runner for it, under QEMU's user-mode emulation."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnetdsl.backends.iree.session import Array, SessionError
from mnetdsl.backends.iree.versions import IREE_VERSION, RUNTIME
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.files import work_folder

TIME_LIMIT = 1800.0
"""Seconds of a run. The largest network takes a minute; one that needs this many does not end."""

ALIASES = {"arm64": "aarch64", "amd64": "x86_64"}
"""What other systems call an architecture."""


@dataclass(frozen=True)
class Foreign:
    """What it takes to run modules of an architecture elsewhere.

    emulators: names of QEMU's program, any of them. libraries: the folder of its C library. variable: of the
    environment, naming the folder of its runtime. platform: of its wheels. packages: Debian's.
    """

    emulators: tuple[str, ...]
    libraries: Path
    variable: str
    platform: str
    packages: str

    @property
    def fetch(self) -> str:
        """The command that gets the runtime."""
        options = f"--target DIR --no-deps --only-binary=:all: --platform {self.platform}"
        return f"pip install {options} {RUNTIME}=={IREE_VERSION}"


FOREIGN: dict[str, Foreign] = {
    "aarch64": Foreign(
        emulators=("qemu-aarch64-static", "qemu-aarch64"),
        libraries=Path("/usr/aarch64-linux-gnu"),
        variable="MNET_IREE_AARCH64",
        platform="manylinux_2_28_aarch64",
        packages="qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross",
    )
}
"""By architecture. IREE's runtime comes as a wheel for these."""


def is_foreign(architecture: str | None) -> bool:
    """Whether a module for `architecture`, None being that of this machine, needs another processor than this."""
    here = platform.machine().lower()
    return architecture is not None and architecture != ALIASES.get(here, here)


class EmulatedSession:
    """As `session.Session`: each call runs `iree-run-module` of the other processor once."""

    def __init__(self, vmfb: bytes, function: str, driver: str, architecture: str) -> None:
        """Raises `MnetError` MN1228 naming all that is missing."""
        self._command = command_of(architecture)
        self._vmfb = vmfb
        self._function = function
        self._driver = driver
        self.device = Path(self._command[0]).name

    def call(self, inputs: Sequence[Array], outputs: Sequence[tuple[tuple[int, ...], str]]) -> list[Array]:
        """As `Session.call`."""
        with work_folder("emulated") as name:
            folder = Path(name)
            (folder / "module.vmfb").write_bytes(self._vmfb)
            for index, array in enumerate(inputs):
                np.save(folder / f"input_{index}.npy", np.ascontiguousarray(array))
            self._run(folder, len(inputs), len(outputs))
            results = [np.load(folder / f"output_{index}.npy") for index in range(len(outputs))]
        # Bytes have no sign in the module's function: only their caller knows.
        return [
            np.frombuffer(result.tobytes(), dtype).reshape(shape)
            for result, (shape, dtype) in zip(results, outputs, strict=True)
        ]

    def _run(self, folder: Path, inputs: int, outputs: int) -> None:
        command = [
            *self._command,
            f"--device={self._driver}",
            "--module=module.vmfb",
            f"--function={self._function}",
            *(f"--input=@input_{index}.npy" for index in range(inputs)),
            *(f"--output=@output_{index}.npy" for index in range(outputs)),
        ]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=TIME_LIMIT, check=False)
        except subprocess.TimeoutExpired:
            raise SessionError("run", f"it did not end within {TIME_LIMIT:.0f} seconds") from None
        if done.returncode < 0:
            raise SessionError("died", signal.Signals(-done.returncode).name)
        if done.returncode != 0:
            raise SessionError("run", done.stderr.decode("utf-8", "replace")[-400:])


def command_of(architecture: str) -> list[str]:
    """How IREE's runner for `architecture` is started here. Raises `MnetError` MN1228."""
    foreign = FOREIGN.get(architecture)
    if foreign is None:
        raise MnetError(
            error(
                "MN1228",
                f"modules for {architecture} do not run here",
                help=f"compile them here and run them there; emulated are {', '.join(FOREIGN)}",
                notes="IREE publishes no runtime for it",
            )
        )
    emulator = next(filter(None, map(shutil.which, foreign.emulators)), None)
    folder = os.environ.get(foreign.variable)
    runner = None if not folder else Path(folder, "iree", "_runtime_libs", "iree-run-module")
    if emulator is None or not foreign.libraries.is_dir() or runner is None or not runner.is_file():
        missing = []
        if emulator is None or not foreign.libraries.is_dir():
            missing.append(f"emulator and libraries: `apt-get install {foreign.packages}` (Debian, Ubuntu)")
        if runner is None or not runner.is_file():
            missing.append(f"its runtime: `{foreign.fetch}`, then `export {foreign.variable}=DIR`")
        raise MnetError(
            error(
                "MN1228",
                f"modules for {architecture} run here under emulation, for which something is missing",
                help=tuple(missing),
            )
        )
    return [emulator, "-L", str(foreign.libraries), str(runner)]
