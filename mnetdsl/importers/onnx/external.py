"""Weights that an ONNX file keeps in other files, as PyTorch writes them: read beside it and nowhere else."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from mnetdsl.importers.onnx.problems import damaged, elsewhere

MAX_ENTRIES = 16


def external_bytes(tensor: Any, name: str, needed: int, folder: Path | None, path: str) -> bytes:
    """The `needed` bytes of `tensor`, from a plain file in `folder`, which is that of the model.

    Raises `MnetError`: MN1708 for a file that is not there, or lies outside, also by a link; MN1707 for one that ends
    too early.
    """
    entries = {str(entry.key): str(entry.value) for entry in tensor.external_data[:MAX_ENTRIES]}
    location = entries.get("location", "")
    outside = PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor or "\0" in location
    if folder is None or not location or outside or ".." in (*PurePosixPath(location).parts, *location.split("\\")):
        raise elsewhere(path, name, location)
    offset, length = (_count(entries.get(key), default) for key, default in (("offset", 0), ("length", needed)))
    if length != needed or offset < 0:
        raise damaged(path, f"`{name}` has {length} bytes from {offset} on, its shape needs {needed}")
    try:
        place = (folder / location).resolve(strict=True)
        if not place.is_relative_to(folder.resolve()) or not place.is_file():
            raise elsewhere(path, name, location)
        with place.open("rb") as stream:
            stream.seek(min(offset, place.stat().st_size))
            found = stream.read(needed)
    except (OSError, ValueError, OverflowError, RuntimeError):
        raise elsewhere(path, name, location) from None
    if len(found) != needed:
        raise damaged(path, f"`{location}` ends within `{name}`")
    return found


def _count(text: str | None, default: int) -> int:
    if text is None:
        return default
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1
