"""Keras checkpoints: `.h5` of Keras 2 and 3, `.weights.h5`, and `.keras`, a zip with such a file and a configuration.

Layer names are compared without their case, and with `_` for `/`, since Keras changed both between its versions.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.diagnostics.extras import install
from mnetdsl.importers.archive import Archive, bomb, damaged, is_bomb
from mnetdsl.importers.checkpoint import Checkpoint
from mnetdsl.weights.entry import Entry

_ZIP = b"PK\x03\x04"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_PARTS = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""Keras' name of a weight -> ours."""
_NORM_PARTS = ("weight", "bias", "running_mean", "running_var")
_LAYER_PARTS = ("weight", "bias")
_HDF5_ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError)
"""What h5py raises on damaged files."""
_MAX_TENSORS = 20_000


def read_keras(data: bytes, path: str) -> Checkpoint:
    """All weights of a Keras file. Raises `MnetError`: MN1501, MN1502, MN1503, MN1504, MN1511."""
    config: Any = None
    classes: dict[str, str] = {}
    if data.startswith(_ZIP):
        archive = Archive(data, path)
        config = _json(archive.read("config.json")) if "config.json" in archive.names else None
        weights = "model.weights.h5"
        if weights not in archive.names:
            raise damaged(path, "there is no model.weights.h5 in it")
        classes = _layers_by_class(config)
        data = archive.read(weights)
    if not data.startswith(_HDF5):
        raise damaged(path, "it is no HDF5 file" if data else "it is empty")
    h5py = _h5py(path)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            config = config or _json(file.attrs.get("model_config", ""))
            group = file.get("model_weights", file)
            entries = dict(_entries(h5py, group, classes, path, len(data)))
    except _HDF5_ERRORS:
        raise damaged(path, "HDF5 cannot read it to its end") from None
    return Checkpoint(path, "Keras", entries, (), _resolution(config), _epsilon(config))


def _h5py(path: str) -> Any:
    try:
        import h5py
    except ImportError:
        raise MnetError(
            error(
                "MN1511",
                "reading a Keras checkpoint needs the package h5py",
                location=path,
                help=install("keras"),
            )
        ) from None
    return h5py


def _entries(h5py: Any, group: Any, classes: dict[str, str], path: str, size: int) -> Iterator[tuple[str, Entry]]:
    """Datasets under `group` as `<layer>.<part>`, in the order of their names; `size` is that of the file.

    External links and soft links are not followed: they could name other files.
    """
    expanded = 0
    for seen, (name, dataset) in enumerate(_datasets(h5py, group, "")):
        if seen > _MAX_TENSORS:
            raise damaged(path, f"it has more than {_MAX_TENSORS} tensors")
        expanded += dataset.nbytes
        if is_bomb(expanded, size):
            raise bomb(path, expanded, size)
        parts = name.split("/")
        if parts[0] in ("optimizer_weights", "optimizer", "_metrics", "metrics"):
            continue
        if len(parts) > 1 and parts[-2] == "vars":
            layer, part = _numbered(dataset, parts, classes)
        else:
            layer, part = _named(parts)
        shape = tuple(int(size) for size in dataset.shape)
        if dataset.dtype.kind not in "fiu":
            yield f"{layer}.{part}", Entry(shape, str(dataset.dtype), None)
            continue
        yield f"{layer}.{part}", Entry(shape, dataset.dtype.name, partial(_kept, np.asarray(dataset[()])))


def _datasets(h5py: Any, group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        if isinstance(item, h5py.Dataset):
            if not item.external and not item.is_virtual:
                yield prefix + name, item
        elif prefix.count("/") < 16:
            yield from _datasets(h5py, item, f"{prefix}{name}/")


def _kept(array: NDArray[np.generic]) -> NDArray[np.generic]:
    return array.astype(np.float32) if array.dtype == np.float16 else array.astype(array.dtype.newbyteorder("="))


def _named(parts: list[str]) -> tuple[str, str]:
    """`conv1/conv1/kernel:0`, as Keras 2 and the legacy format of Keras 3 write it: a group a layer, then its weight.

    A network inside another one has its own group in front of the layers' names.
    """
    part = parts[-1].partition(":")[0]
    layer = "/".join(parts[1:-1]) or parts[0]
    return plain_name(layer), _PARTS.get(part, part)


def _numbered(dataset: Any, parts: list[str], classes: dict[str, str]) -> tuple[str, str]:
    """`layers/conv2d_1/vars/0`, as Keras 3 writes it; the layer's own name is an attribute or in the configuration."""
    variables = dataset.parent
    layer = parts[-3]
    own = variables.attrs.get("name") or classes.get(layer, layer)
    names = _NORM_PARTS if len(variables) == 4 else _LAYER_PARTS
    index = int(parts[-1])
    return plain_name(str(own)), names[index] if index < len(names) else str(index)


def plain_name(layer: str) -> str:
    """`expanded_conv/depthwise/BatchNorm` and `expanded_conv_depthwise_bn` name the same layer."""
    return layer.lower().replace("/", "_").replace("batchnorm", "bn")


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None


def _layers(config: Any) -> list[dict[str, Any]]:
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else None
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def _layers_by_class(config: Any) -> dict[str, str]:
    """Keras 3 numbers layers by their class in the order of the network: `conv2d_1` -> the name of that layer."""
    counts: dict[str, int] = {}
    found: dict[str, str] = {}
    for layer in _layers(config):
        kind = str(layer.get("class_name", "")).replace("2D", "2d")
        snake = "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(kind))
        count = counts.get(snake, 0)
        counts[snake] = count + 1
        settings = layer.get("config")
        if isinstance(settings, dict):
            found[f"{snake}_{count}" if count else snake] = str(settings.get("name", snake))
    return found


def _settings(config: Any) -> Iterator[dict[str, Any]]:
    for layer in _layers(config):
        settings = layer.get("config")
        if isinstance(settings, dict):
            yield settings
            if isinstance(settings.get("layers"), list):
                yield from _settings(layer)


def _resolution(config: Any) -> int | None:
    """The side of the square input that the configuration names."""
    for settings in _settings(config):
        shape = settings.get("batch_input_shape") or settings.get("batch_shape")
        if isinstance(shape, list) and len(shape) == 4 and isinstance(shape[1], int) and shape[1] == shape[2]:
            return shape[1]
    return None


def _epsilon(config: Any) -> float | None:
    """Of batch normalization, where all layers agree."""
    found = {settings["epsilon"] for settings in _settings(config) if isinstance(settings.get("epsilon"), float)}
    return found.pop() if len(found) == 1 else None
