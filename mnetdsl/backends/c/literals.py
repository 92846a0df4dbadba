"""Numbers as C text, exactly: nine significant digits name every float32 (IEEE 754-2008, section 5.12.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PER_LINE = 8
_CHUNK_LINES = 1024


def float_literal(value: float) -> str:
    """A float32 constant such as `0.125f`, with as few digits as name it; infinity as math.h names it."""
    if np.isinf(np.float32(value)):
        return "HUGE_VALF" if value > 0 else "-HUGE_VALF"
    text = str(np.float32(value))
    return (text if any(mark in text for mark in ".e") else f"{text}.0") + "f"


def array_body(values: NDArray[np.generic]) -> str:
    """The elements between the braces of an array, eight a line, indented by four.

    Float32 values must be finite. Millions of them take well under a second: whole numbers, which `%g` would print
    without a point, are looked for chunk by chunk.
    """
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype != np.float32:
        return _lines([f"{value}," for value in flat.tolist()]).rstrip("\n")
    pieces = []
    step = _PER_LINE * _CHUNK_LINES
    line = "    " + " ".join(["%.9gf,"] * _PER_LINE) + "\n"
    for start in range(0, flat.size, step):
        chunk = flat[start : start + step]
        whole = (np.rint(chunk) == chunk) & (np.abs(chunk) < 1e9)
        numbers = tuple(chunk.tolist())
        if whole.any() or len(numbers) % _PER_LINE:
            formats = np.where(whole, "%.1ff,", "%.9gf,").tolist()
            pieces.append(_lines(formats) % numbers)
        else:
            pieces.append(line * (len(numbers) // _PER_LINE) % numbers)
    return "".join(pieces).rstrip("\n")


def _lines(items: list[str]) -> str:
    return "".join(
        "    " + " ".join(items[start : start + _PER_LINE]) + "\n" for start in range(0, len(items), _PER_LINE)
    )
