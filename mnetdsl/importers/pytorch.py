"""PyTorch's `.pth` and `.pt`: a zip with a pickle that refers to storages beside it. The pickle is read as data.

Source: torch/serialization.py of PyTorch 2, `_save` and `_legacy_save`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.files import MIB
from mnetdsl.importers.archive import Archive, damaged
from mnetdsl.importers.checkpoint import Checkpoint
from mnetdsl.importers.pickles import Call, DangerousPickle, Name, Persistent, PickleError, read_pickle
from mnetdsl.weights.entry import Entry

MAX_PICKLE = 64 * MIB
MAX_RANK = 8
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_TAR_MAGIC = (257, b"ustar")
_REBUILD = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_PARAMETER = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
_EMA = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
_RAW = ("state_dict", "model_state_dict", "model", "net", "weights", "params")
_STORAGES = {
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
}
"""Class -> element type, as `weights` names it, and its bytes."""
_WIDENED = {"float16": "float32", "bool": "uint8"}


@dataclass(frozen=True)
class _Tensor:
    entry: Entry


def read_pytorch(data: bytes, path: str, key: str | None) -> Checkpoint:
    """The state dict in a `.pth`; `key` names the wrapper's part to take, else averaged weights come first.

    Raises `MnetError`: MN1501 an older format or TorchScript, MN1502, MN1503, MN1504, MN1505, MN1506.
    """
    _refuse_other_formats(data, path)
    archive = Archive(data, path)
    pickled = next((name for name in archive.names if name == "data.pkl" or name.endswith("/data.pkl")), None)
    if pickled is None:
        raise damaged(path, "there is no data.pkl in it")
    root = pickled.removesuffix("data.pkl")
    if any(name.startswith(f"{root}code/") for name in archive.names):
        raise _other_format(path, "a TorchScript program", "save the weights alone: torch.save(model.state_dict(), …)")
    if (archive.size(pickled) or 0) > MAX_PICKLE:
        raise damaged(path, f"its pickle has {archive.size(pickled)} bytes")
    try:
        tree = read_pickle(archive.read(pickled))
    except DangerousPickle as danger:
        raise MnetError(
            error(
                "MN1505",
                f"the checkpoint asks for `{danger.name}` to be called when it is loaded",
                location=path,
                notes="nothing in it was run, and nothing was read from it",
                help="do not load this file with torch.load either; take the weights from a place you trust",
            )
        ) from None
    except PickleError as problem:
        raise damaged(path, str(problem)) from None
    swapped = f"{root}byteorder" in archive.names and archive.read(f"{root}byteorder") == b"big"
    chosen, notes = _state_dict(tree, key, path)
    if any(_is_quantized(name, value) for name, value in chosen.items()):
        raise _other_format(path, "of a quantized network", "save the float network that it was made from")
    reader = _TensorReader(archive, root, swapped, path)
    entries = {}
    for name, value in chosen.items():
        tensor = reader.tensor(value, str(name))
        if isinstance(name, str) and tensor is not None:
            entries[name] = tensor
    return Checkpoint(path, "PyTorch", entries, notes)


def _refuse_other_formats(data: bytes, path: str) -> None:
    start, magic = _TAR_MAGIC
    if data.startswith(_LEGACY) or data[start : start + len(magic)] == magic or data.startswith(b"\x80"):
        help = "load it in PyTorch and save it anew: torch.save(state_dict, …) of PyTorch 1.6 or later"
        raise _other_format(path, "in the format of PyTorch before 1.6, a bare pickle or tar", help)


def _other_format(path: str, what: str, help: str) -> MnetError:
    return MnetError(error("MN1501", f"the checkpoint is {what}, which is not read", location=path, help=help))


def _mapping(value: Any) -> dict[Any, Any] | None:
    """The items of a dict, an OrderedDict, or the state dict kept inside a pickled module."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Call) and value.function.text in ("collections.OrderedDict", "collections.defaultdict"):
        return value.items
    return None


def _is_state(value: Any) -> bool:
    items = _mapping(value)
    return items is not None and any(_is_tensor(item) for item in items.values())


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Call) and value.function.text in (*_REBUILD, *_PARAMETER)


def _is_quantized(name: Any, value: Any) -> bool:
    rebuilt = isinstance(value, Call) and value.function.text == "torch._utils._rebuild_qtensor"
    return rebuilt or (isinstance(name, str) and "_packed_params" in name)


def _state_dict(tree: Any, key: str | None, path: str) -> tuple[dict[Any, Any], tuple[str, ...]]:
    """The mapping of names to tensors inside training wrappers, and what was chosen."""
    top = _mapping(tree)
    if top is None:
        if isinstance(tree, Call):
            what = f"the checkpoint is a pickled `{tree.function.text}`, not a state dict"
            raise MnetError(
                error("MN1506", what, location=path, help="save `model.state_dict()` in place of the model")
            )
        raise damaged(path, "it holds no state dict")
    if key is not None:
        found = _mapping(top.get(key))
        if found is None or not _is_state(found):
            parts = ", ".join(str(name) for name, value in top.items() if _is_state(value)) or "no part with tensors"
            help = f"the checkpoint has {parts}"
            raise MnetError(error("MN1506", f"there are no tensors under `{key}`", location=path, help=help))
        return found, (f"took `{key}`",)
    candidates = [name for name in (*_EMA, *_RAW) if _is_state(top.get(name))]
    if not candidates and _is_state(top):
        return top, ()
    candidates += [str(name) for name, value in top.items() if _is_state(value) and name not in candidates]
    for name, value in top.items():
        inner = _mapping(value)
        nested = None if inner is None else next((part for part in (*_EMA, *_RAW) if _is_state(inner.get(part))), None)
        if inner is not None and nested is not None and not candidates:
            return inner[nested], (f"took `{name}.{nested}`",)
    if not candidates:
        return {}, ()
    chosen = candidates[0]
    why = "averaged weights, which is what such runs are evaluated with" if chosen in _EMA else "the weights"
    others = [name for name in candidates[1:] if name in _RAW or name in _EMA]
    rest = f"; `--key {others[0]}` takes the others" if others else ""
    return _mapping(top[chosen]) or {}, (f"took `{chosen}`: {why}{rest}",)


@dataclass(frozen=True)
class _TensorReader:
    """Turns calls that rebuild tensors into entries that are read when they are wanted."""

    archive: Archive
    root: str
    swapped: bool
    path: str

    def tensor(self, value: Any, name: str) -> Entry | None:
        if isinstance(value, Call) and value.function.text in _PARAMETER and value.arguments:
            value = value.arguments[0]
        if not _is_tensor(value) or len(value.arguments) < 4:
            return None
        storage, offset, shape, strides = value.arguments[:4]
        if not _is_sizes(shape) or not _is_sizes(strides) or not isinstance(offset, int) or offset < 0:
            raise damaged(self.path, f"tensor `{name}` has no valid shape")
        if len(shape) != len(strides) or len(shape) > MAX_RANK:
            raise damaged(self.path, f"tensor `{name}` has no valid shape")
        kind, member, count = self._storage(storage, name)
        element, width = _STORAGES.get(kind, (kind, 0))
        if not width:
            return Entry(tuple(shape), element, None)
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if self.archive.size(member) != count * width or (prod(shape) and last >= count):
            raise damaged(self.path, f"tensor `{name}` reaches beyond its storage")
        if prod(shape) > count:
            raise damaged(self.path, f"tensor `{name}` claims more elements than its storage has")
        read = partial(_values, self.archive, member, element, self.swapped, offset, tuple(shape), tuple(strides))
        return Entry(tuple(shape), element, read)

    def _storage(self, storage: Any, name: str) -> tuple[str, str, int]:
        identity = storage.identity if isinstance(storage, Persistent) else None
        if isinstance(identity, tuple) and len(identity) >= 5 and identity[0] == "storage":
            kind, key, count = identity[1], identity[2], identity[4]
            if isinstance(kind, Name) and isinstance(key, str) and isinstance(count, int) and count >= 0:
                return kind.text.rpartition(".")[2], f"{self.root}data/{key}", count
        raise damaged(self.path, f"tensor `{name}` has no storage")


def _is_sizes(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(item) is int and 0 <= item < 2**40 for item in value)


def _values(
    archive: Archive,
    member: str,
    element: str,
    swapped: bool,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> NDArray[np.generic]:
    data = archive.read(member)
    order: Literal["<", ">"] = ">" if swapped else "<"
    if element == "BF16":  # the upper half of a float32 each
        flat = (np.frombuffer(data, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
    else:
        flat = np.frombuffer(data, np.dtype(element).newbyteorder(order)).astype(_WIDENED.get(element, element))
    steps = tuple(stride * flat.itemsize for stride in strides)
    view = np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False)
    return np.ascontiguousarray(view).reshape(shape)
