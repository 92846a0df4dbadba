"""`load_weights`: from what the user names to one checked array per constant of a module."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import Diagnostic, ExitCode, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.files import MAX_WEIGHTS, read_bytes
from mnetdsl.ir.core import Module
from mnetdsl.weights import npz, safetensors
from mnetdsl.weights.entry import Entry
from mnetdsl.weights.expected import expected_weights
from mnetdsl.weights.match import match_weights
from mnetdsl.weights.random import random_weights

_RANDOM = re.compile(r"random:(\d{1,18})")
_READERS: dict[str, Callable[[bytes, str], dict[str, Entry]]] = {
    ".safetensors": safetensors.read_entries,
    ".npz": npz.read_entries,
}
_CONVERSIONS = {
    ".pth": "`mnet import` takes those of the zoo; else: `safetensors.torch.save_file(state_dict, 'net.safetensors')`",
    ".pt": "`mnet import` takes those of the zoo; else: `safetensors.torch.save_file(state_dict, 'net.safetensors')`",
    ".bin": "in PyTorch: `safetensors.torch.save_file(state_dict, 'net.safetensors')`",
    ".h5": "`mnet import` takes those of the zoo; else: `numpy.savez('net.npz', **{name: array, …})` in Keras",
    ".keras": "`mnet import` takes those of the zoo; else: `numpy.savez('net.npz', **{name: array, …})` in Keras",
    ".npy": "an .npy holds one array without a name: `numpy.savez('net.npz', **{name: array, …})`",
}


def load_weights(module: Module, spec: str | Path) -> dict[str, NDArray[np.generic]]:
    """Values for every constant of `module`, by resource name, in the shapes and element types it declares.

    `spec` is a `.safetensors` or `.npz` file, or `random:SEED` (see `random_weights`). Floats of 16 bits are widened
    exactly; those of 64 bits are rounded, with a `WeightsWarning`. Raises `MnetError` with everything that does not
    fit: MN0702 missing, MN0703 surplus, MN0704 misshapen, MN0705 wrong element type, MN0706 not finite,
    MN0707 negative variance, MN0708 damaged file, MN0709 unknown format, MN0710 pickled, MN0711 malformed seed, MN0716
    scales that are none, and MN09xx where the file cannot be read.
    """
    expected = expected_weights(module)
    text = str(spec)
    if text.startswith("random") and not Path(text).exists():
        seed = _RANDOM.fullmatch(text)
        if seed is None:
            raise MnetError(
                error(
                    "MN0711",
                    f"`{text}` is no seed for random weights",
                    location=f"--weights {text}",
                    help="write it with a whole number, for instance `random:1`",
                ),
                exit_code=ExitCode.USAGE,
            )
        return random_weights(module, int(seed[1]))
    return match_weights(expected, read_entries(text), text)


def read_entries(spec: str | Path) -> dict[str, Entry]:
    """All tensors of a `.safetensors` or `.npz` file by name, their data untouched.

    Raises `MnetError` MN0708 to MN0710, and MN09xx where the file cannot be read.
    """
    text = str(spec)
    path = Path(text)
    reader = _READERS.get(path.suffix.lower())
    if reader is None and not path.is_dir() and path.exists():
        raise MnetError(_unknown_format(path))
    data = read_bytes(path, what="weight file", limit=MAX_WEIGHTS)
    if reader is None:
        raise MnetError(_unknown_format(path))
    return reader(data, text)


def _unknown_format(path: Path) -> Diagnostic:
    suffix = path.suffix.lower()
    help = _CONVERSIONS.get(suffix)
    if help is None:
        suggestion = did_you_mean(suffix, list(_READERS))
        help = f"did you mean a `{suggestion}` file?" if suggestion else "convert the weights to one of these"
    return error(
        "MN0709",
        f"weights are read from .safetensors and .npz files, not from `{suffix or path.name}`",
        location=str(path),
        help=help,
    )
