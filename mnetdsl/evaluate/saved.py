"""Logits on disk: a finished evaluation, or the part of one that an interruption left. Both are `.npz`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.files import read_bytes, write_whole
from mnetdsl.weights import npz


@dataclass(frozen=True)
class Saved:
    """`logits` `[N, K]` of the images in lines `rows` of the label file, whose classes are `labels`.

    `done` says which of them are there. `fingerprint` is of all that the logits depend on.
    """

    logits: NDArray[np.generic]
    rows: NDArray[np.generic]
    labels: NDArray[np.generic]
    done: NDArray[np.generic]
    fingerprint: bytes

    def write(self, path: Path) -> None:
        arrays = {
            "logits": self.logits,
            "rows": self.rows.astype(np.int64),
            "labels": self.labels.astype(np.int64),
            "done": self.done.astype(np.uint8),
            "fingerprint": np.frombuffer(self.fingerprint, np.uint8),
        }
        write_whole(path, npz.to_bytes(arrays))


def partial_path(output: Path) -> Path:
    """Where an evaluation keeps what it has, until `output` is whole."""
    return output.with_name(output.name + ".partial")


def read_saved(path: Path) -> Saved:
    """Raises `MnetError`: MN1604 where it is no saved evaluation, MN0708 damaged, MN09xx."""
    entries = npz.read_entries(read_bytes(path, what="saved logits"), str(path))
    arrays: dict[str, NDArray[np.generic]] = {}
    for name in ("logits", "rows", "labels", "done", "fingerprint"):
        entry = entries.get(name)
        if entry is None or entry.read is None:
            raise _no_evaluation(path)
        arrays[name] = entry.read()
    count = len(arrays["rows"])
    if arrays["logits"].ndim != 2 or any(arrays[name].shape != (count,) for name in ("labels", "done")):
        raise _no_evaluation(path)
    if len(arrays["logits"]) != count:
        raise _no_evaluation(path)
    fingerprint = arrays.pop("fingerprint").astype(np.uint8).tobytes()
    done = arrays.pop("done").astype(bool)
    return Saved(arrays["logits"], arrays["rows"], arrays["labels"], done, fingerprint)


def _no_evaluation(path: Path) -> MnetError:
    return MnetError(
        error(
            "MN1604",
            "the file holds no saved evaluation",
            location=str(path),
            help="name the file that `mnet evaluate … --output FILE.npz` wrote",
        )
    )
