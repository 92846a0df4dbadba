"""One tensor of a weight file, before its data is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.ir.types import Shape


@dataclass(frozen=True)
class Entry:
    """`element` is the file's name for the element type, such as `F16` or `int64`.

    `read` gives the values: float32 where the file has floats of 16 or 32 bits, float64 where it has those, else
    the integers as they are. None where this reader does not know the element type.
    """

    shape: Shape
    element: str
    read: Callable[[], NDArray[np.generic]] | None


def corrupt(path: str, message: str, help: str = "") -> MnetError:
    """MN0708: the file is not what its name says, or was cut off."""
    return MnetError(
        error(
            "MN0708",
            f"weight file is corrupt: {message}",
            location=path,
            help=help or "copy or download it again; a file that was being written may be incomplete",
        )
    )
