"""A checkpoint file as named tensors, whatever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.files import read_bytes
from mnetdsl.weights.entry import Entry

SUFFIXES = (".h5", ".keras", ".pth", ".pt", ".safetensors")
COUNTERS = (".num_batches_tracked", "n_averaged", "global_step")
"""Ends of names that training keeps beside the weights; a network has no use for them."""


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name: `<layer>.weight`, `.bias`, `.running_mean`, `.running_var` for each layer.

    `source` is who lays filters out like this: `Keras` or `PyTorch`. `notes` says what was chosen on the way.
    `resolution` and `epsilon` are None where the file does not say.
    """

    path: str
    source: str
    entries: Mapping[str, Entry]
    notes: tuple[str, ...] = ()
    resolution: int | None = None
    epsilon: float | None = None
    counters: tuple[str, ...] = field(default=())


def read_checkpoint(path: str | Path, key: str | None = None) -> Checkpoint:
    """Reads a checkpoint; no code in it runs. `key` names the part of a PyTorch file that holds the weights.

    Raises `MnetError`: MN1501 another format, MN1502 damaged, MN1503 encrypted, MN1504 expands without measure,
    MN1505 calls functions, MN1506 no tensors in it, MN1511 h5py is missing, MN09xx where it cannot be read.
    """
    text = str(path)
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES and not Path(path).is_dir() and Path(path).exists():
        raise MnetError(
            error(
                "MN1501",
                f"checkpoints are read from {', '.join(SUFFIXES)} files, not from `{suffix or text}`",
                location=text,
                help="save the weights in one of these, or the whole network as .tflite or .onnx",
            )
        )
    data = read_bytes(path, what="checkpoint")
    match suffix:
        case ".safetensors":
            from mnetdsl.weights import safetensors

            checkpoint = Checkpoint(text, "PyTorch", safetensors.read_entries(data, text))
        case ".pth" | ".pt":
            from mnetdsl.importers.pytorch import read_pytorch

            checkpoint = read_pytorch(data, text, key)
        case _:
            from mnetdsl.importers.keras import read_keras

            checkpoint = read_keras(data, text)
    if not checkpoint.entries:
        raise MnetError(
            error(
                "MN1506",
                "there are no tensors in the checkpoint",
                location=text,
                help="save the weights: `torch.save(model.state_dict(), …)`, `model.save(…)`",
            )
        )
    return _plain(checkpoint)


def _plain(checkpoint: Checkpoint) -> Checkpoint:
    """Counters set aside, and what wrappers such as `module.` put in front of every name taken off."""
    counters = tuple(name for name in checkpoint.entries if name.endswith(COUNTERS))
    entries = {name: entry for name, entry in checkpoint.entries.items() if name not in counters}
    notes = list(checkpoint.notes)
    while checkpoint.source == "PyTorch" and (prefix := _wrapper(entries)):
        entries = {name.removeprefix(prefix): entry for name, entry in entries.items()}
        notes.append(f"every name begins with `{prefix}`: taken off")
    return replace(checkpoint, entries=entries, notes=tuple(notes), counters=counters)


_PARTS_OF_NETWORKS = ("features", "blocks", "classifier", "body", "stem", "layers")


def _wrapper(entries: Mapping[str, Entry]) -> str:
    first = next(iter(entries), "").partition(".")[0]
    if first in _PARTS_OF_NETWORKS or not first:
        return ""
    prefix = f"{first}."
    return prefix if all(name.startswith(prefix) and name.count(".") > 1 for name in entries) else ""
