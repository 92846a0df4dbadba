"""How good a network is on labelled images: runs it on all of them, on all cores, and can be interrupted.

labels = read_labels("labels.csv", count=1000)
result = evaluate(module, "c", Path("images"), labels)
accuracy = Share(int((ranks(result.logits, labels.classes) < 1).sum()), len(labels.files))
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.runners import Runner, make_runner
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.evaluate.labels import Labels, read_labels
from mnetdsl.evaluate.saved import Saved, partial_path, read_saved
from mnetdsl.evaluate.statistics import Pairing, Share, confusions, pair, predictions, ranks
from mnetdsl.files import require_folder
from mnetdsl.images import Resize, load_input
from mnetdsl.ir.core import Module, Port
from mnetdsl.ir.printer import print_module
from mnetdsl.passes.pipelines import optimize

__all__ = [
    "CENTRAL",
    "Labels",
    "Pairing",
    "Preprocessing",
    "Saved",
    "Share",
    "classifier_ports",
    "confusions",
    "evaluate",
    "pair",
    "predictions",
    "ranks",
    "read_labels",
    "read_saved",
]

CENTRAL = 0.875
"""The middle share of each side that published accuracies on ImageNet are measured on."""
_BATCH = 4
_SAVE_SECONDS = 10.0


@dataclass(frozen=True)
class Preprocessing:
    """How images of another size than the network's reach it: the middle `central` of both sides, then `resize`."""

    resize: Resize = Resize.CROP
    central: float = CENTRAL


def evaluate(
    module: Module,
    on: str,
    folder: Path,
    labels: Labels,
    *,
    preprocessing: Preprocessing | None = None,
    output: Path | None = None,
    resume: bool = False,
    progress: Callable[[int], None] = lambda count: None,
) -> Saved:
    """Logits of all images of `labels`, found in `folder`, from backend `on`.

    module: as written, with weights; one image input, and one output `[N, K]`.
    output: where to save them as `.npz`; beside it stands what is done until then, `resume` continues from that.
    progress: called with the number of images done since the last call.

    Raises `MnetError`: MN1603 no classifier, MN1605 what should be resumed was something else, MN0901 no such
    folder or image, what images and backends raise.
    """
    preprocessing = preprocessing or Preprocessing()
    source, port = classifier_ports(module)
    require_folder(folder, what="folder of images")
    count = port.value.type.shape[-1]
    fingerprint = _fingerprint(module, on, labels, preprocessing)
    state = Saved(
        np.zeros((len(labels.files), count), np.float32),
        np.asarray(labels.rows, np.int64),
        np.asarray(labels.classes, np.int64),
        np.zeros(len(labels.files), bool),
        fingerprint,
    )
    if resume and output is not None:
        state = _resumed(state, output)
        progress(int(state.done.sum()))
    job = _Job(module if on == "numpy" else optimize(module), on, folder, labels, preprocessing, source, port)
    try:
        job.fill(state, output, progress)
    except BaseException:
        if output is not None and state.done.any():
            state.write(partial_path(output))  # what is done is not done again by `--resume`
        raise
    if output is not None:
        state.write(output)
        with suppress(FileNotFoundError):
            partial_path(output).unlink()
    return state


def classifier_ports(module: Module) -> tuple[Port, Port]:
    """The image input and the class output. Raises `MnetError` MN1603 where a network has others."""
    graph = module.graph
    outputs = [port for port in graph.outputs if len(port.value.type.shape) == 2]
    if len(graph.inputs) == 1 and len(outputs) == 1 and len(graph.outputs) == 1:
        return graph.inputs[0], outputs[0]
    listing = ", ".join(f"{port.name} {'x'.join(map(str, port.value.type.shape[1:]))}" for port in graph.outputs)
    inputs = f"{len(graph.inputs)} input" + ("s" if len(graph.inputs) != 1 else "")
    raise MnetError(
        error(
            "MN1603",
            f"`{module.name}` is no classifier: it has {inputs}, and outputs {listing}",
            notes=_measured_otherwise(graph.outputs),
            help=(
                "accuracy is measured for networks of one image and one list of classes",
                "`mnet run` gives the outputs of any network; `mnet validate` compares them between backends",
            ),
        )
    )


def _measured_otherwise(outputs: Sequence[Port]) -> tuple[str, ...]:
    """What networks with such outputs do, where it can be told."""
    shapes = [port.value.type.shape[1:] for port in outputs]
    if len(shapes) > 1 and any(len(shape) == 2 and shape[-1] == 4 for shape in shapes):
        return ("it looks like a detector: those are measured by how boxes overlap with labelled ones",)
    if len(shapes) == 1 and len(shapes[0]) in (2, 3) and min(shapes[0][:2]) > 1:
        return ("it looks like a segmentation: those are measured pixel by pixel against labelled maps",)
    return ()


@dataclass(frozen=True)
class _Job:
    module: Module
    on: str
    folder: Path
    labels: Labels
    preprocessing: Preprocessing
    source: Port
    port: Port

    def fill(self, state: Saved, output: Path | None, progress: Callable[[int], None]) -> None:
        """Computes the rows of `state` that are not done, each thread with a runner of its own."""
        todo = [int(index) for index in np.flatnonzero(state.done == 0)]
        batches = iter([todo[start : start + _BATCH] for start in range(0, len(todo), _BATCH)])
        local = threading.local()
        saved = time.monotonic()
        workers = _workers(self.on)
        with ThreadPoolExecutor(workers) as pool:
            running: dict[Future[NDArray[np.generic]], list[int]] = {}
            try:
                while True:
                    while len(running) < 2 * workers and (batch := next(batches, None)) is not None:
                        running[pool.submit(self._run, local, batch)] = batch
                    if not running:
                        return
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        rows = running.pop(future)
                        state.logits[rows] = future.result()
                        state.done[rows] = True
                        progress(len(rows))
                    if output is not None and time.monotonic() - saved > _SAVE_SECONDS:
                        state.write(partial_path(output))
                        saved = time.monotonic()
            except BaseException:
                for future in running:
                    future.cancel()
                raise

    def _run(self, local: threading.local, rows: list[int]) -> NDArray[np.generic]:
        runner: Runner | None = getattr(local, "runner", None)
        if runner is None:
            runner = local.runner = make_runner(self.on, self.module)
        how = self.preprocessing
        files = [self.folder / self.labels.files[row] for row in rows]
        images = [_listed_image(file, self.source, how) for file in files]
        return runner.run({self.source.name: np.concatenate(images)})[self.port.name]


def _listed_image(file: Path, port: Port, how: Preprocessing) -> NDArray[np.generic]:
    try:
        return load_input(file, port, how.resize, how.central)
    except MnetError as problem:
        help = ("the label file names it: are its files in this folder?", "the first images alone: `--limit`")
        missing = [replace(each, help=help) if each.code == "MN0901" else each for each in problem.diagnostics]
        raise MnetError(*missing, exit_code=problem.exit_code) from None


def _workers(on: str) -> int:
    """IREE brings its own threads."""
    return 1 if on.startswith("iree") else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2


def _fingerprint(module: Module, on: str, labels: Labels, preprocessing: Preprocessing) -> bytes:
    digest = hashlib.sha256(print_module(module).encode())
    for name in sorted(module.resources):
        array = np.ascontiguousarray(module.resources[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    digest.update(repr((on, labels.column, labels.files, labels.classes, preprocessing)).encode())
    return digest.digest()


def _resumed(state: Saved, output: Path) -> Saved:
    """What is done of the same evaluation; raises `MnetError` MN1605 where the file is of another one."""
    found = next((path for path in (partial_path(output), output) if path.exists()), None)
    if found is None:
        return state
    old = read_saved(found)
    if old.fingerprint != state.fingerprint or old.logits.shape != state.logits.shape:
        raise MnetError(
            error(
                "MN1605",
                "what was begun is not this evaluation: network, weights, images or options differ",
                location=str(found),
                help="leave out `--resume` to begin anew, or name another output",
            )
        )
    return Saved(old.logits.copy(), state.rows, state.labels, old.done.copy(), state.fingerprint)
