"""Writes weights. Equal arrays give equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.files import write_whole
from mnetdsl.weights import npz, safetensors

_WRITERS: dict[str, Callable[[Mapping[str, NDArray[np.generic]]], bytes]] = {
    ".safetensors": safetensors.to_bytes,
    ".npz": npz.to_bytes,
}


def save_weights(path: str | Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Writes `arrays` by name as `.safetensors` or `.npz`, whole or not at all.

    Raises `MnetError` MN0709 for another suffix, MN09xx where the file cannot be written.
    """
    writer = _WRITERS.get(Path(path).suffix.lower())
    if writer is None:
        raise MnetError(
            error(
                "MN0709",
                f"weights cannot be written as `{Path(path).suffix or path}`",
                location=str(path),
                help=f"name the file with one of {', '.join(_WRITERS)}",
            )
        )
    write_whole(path, writer(arrays))
