"""A network on the Vulkan device at hand: linalg's code beside kernels of our own.

    python benchmarks/vulkan.py NETWORK [--weights FILE] [--rounds 7]

NETWORK is a .mnet file, a folder that holds one, or a network of the zoo. Each target runs in a process of its own,
with an empty cache of shaders (Mesa's MESA_SHADER_CACHE_DIR); images take turns between the targets. Prints the device
and the table of docs/iree.md: the time of iree-compile, the first call, in which drivers translate the shaders, and the
median image, by the clock and of this machine's processor, which a device in software (lavapipe) runs on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import mnetdsl
from mnetdsl.backends.iree import generate
from mnetdsl.backends.iree.manifest import Manifest
from mnetdsl.backends.iree.runner import PackageRunner
from mnetdsl.cli.script import count, run_script

TARGETS = ("iree-vulkan:linalg", "iree-vulkan:simt")


@dataclass(frozen=True)
class Seconds:
    """By the clock, and of all of the process' threads."""

    clock: float
    processor: float

    def __str__(self) -> str:
        return f"{self.clock:.2f} s, {self.processor:.2f} s"


class Runner:
    """A process that answers each line with the seconds of one image."""

    def __init__(self, folder: Path, shaders: Path) -> None:
        command = [sys.executable, __file__, "--serve", str(folder)]
        environment = os.environ | {"MESA_SHADER_CACHE_DIR": str(shaders)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        ready = self._answer()
        self.device: str = ready["device"]
        self.first = Seconds(*ready["seconds"])

    def image(self) -> Seconds:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Seconds(*self._answer()["seconds"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def serve(folder: Path) -> None:
    """The other end of `Runner`."""
    from mnetdsl.backends.iree.session import Session

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # drivers print where they like
    manifest = Manifest.from_json((folder / "net.json").read_bytes())
    random = np.random.default_rng(1)
    inputs = [
        random.standard_normal(port.shape).astype(np.float32)
        if port.dtype == "float32"
        else random.integers(0, 128, port.shape).astype(port.dtype)
        for port in manifest.inputs
    ]
    outputs = [(port.shape, port.dtype) for port in manifest.outputs]
    started = _now()
    session = Session((folder / "net.vmfb").read_bytes(), manifest.function, "vulkan")
    while True:
        session.call(inputs, outputs)
        answers.write(json.dumps({"device": session.device, "seconds": _since(started)}) + "\n")
        answers.flush()
        if not sys.stdin.readline():
            return
        started = _now()


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(started: tuple[float, float]) -> list[float]:
    return [now - before for now, before in zip(_now(), started, strict=True)]


def measure(network: str, weights: str | None, rounds: int) -> None:
    module = mnetdsl.load(network).with_weights(weights).optimized()
    compiled, runners = {}, {}
    with tempfile.TemporaryDirectory() as room:
        for target in TARGETS:
            folder, shaders = Path(room, target.replace(":", "-")), Path(room, "shaders", target.replace(":", "-"))
            folder.mkdir()
            shaders.mkdir(parents=True)
            started = time.perf_counter()
            package = generate(module, "net", target)
            compiled[target] = time.perf_counter() - started
            PackageRunner(package)  # says what is wrong where there is no device
            for name, data in package.files.items():
                (folder / name).write_bytes(data)
            runners[target] = Runner(folder, shaders)
        images: dict[str, list[Seconds]] = {target: [] for target in TARGETS}
        for _ in range(rounds):
            for target in TARGETS:
                images[target].append(runners[target].image())
        for runner in runners.values():
            runner.end()
    print(f"{module.name} on {runners[TARGETS[0]].device}, medians of {rounds} images\n")
    print("| Target | iree-compile | First call: clock, processor | Image: clock, processor |")
    print("|---|---|---|---|")
    for target in TARGETS:
        image = Seconds(*(median(getattr(each, part) for each in images[target]) for part in ("clock", "processor")))
        print(f"| `{target}` | {compiled[target]:.1f} s | {runners[target].first} | {image} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", default="mobilenet_v2")
    parser.add_argument("--weights")
    parser.add_argument("--rounds", type=count, default=7)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve)
    else:
        measure(given.network, given.weights, given.rounds)


if __name__ == "__main__":
    sys.exit(run_script(main))
