"""Checkpoints as other libraries write them, made without those libraries: zips, pickles and HDF5 by hand."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Tensors = dict[str, Array]

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}


@dataclass(frozen=True)
class Global:
    """`module.name`, to be called with `arguments` when somebody unpickles it."""

    module: str
    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Bfloat16:
    """Its upper halves are what is stored."""

    values: NDArray[np.float32]


class Pth:
    """Writes what `torch.save` writes; a NumPy array stands for a tensor."""

    def __init__(self) -> None:
        self.storages: list[bytes] = []

    def pickle(self, value: Any) -> bytes:
        return b"\x80\x02" + self.emit(value) + b"."

    def emit(self, value: Any) -> bytes:
        match value:
            case None:
                return b"N"
            case bool():
                return b"\x88" if value else b"\x89"
            case int():
                return b"J" + value.to_bytes(4, "little", signed=True)
            case str():
                data = value.encode()
                return b"X" + len(data).to_bytes(4, "little") + data
            case dict():
                return b"}(" + b"".join(self.emit(k) + self.emit(v) for k, v in value.items()) + b"u"
            case tuple():
                return b"(" + b"".join(map(self.emit, value)) + b"t"
            case Global():
                return f"c{value.module}\n{value.name}\n".encode() + self.emit(value.arguments) + b"R"
            case np.ndarray() | Bfloat16():
                return self.tensor(value)
        raise TypeError(type(value))

    def tensor(self, value: Array | Bfloat16) -> bytes:
        if isinstance(value, Bfloat16):
            array: Array = value.values
            kind, data = "BFloat16Storage", (value.values.view(np.uint32) >> 16).astype("<u2").tobytes()
        else:
            array, kind, data = value, STORAGES[value.dtype.name], np.ascontiguousarray(value).tobytes()
        self.storages.append(data)
        key = str(len(self.storages) - 1)
        strides = [1] * array.ndim
        for axis in range(array.ndim - 2, -1, -1):
            strides[axis] = strides[axis + 1] * array.shape[axis + 1]
        return self.rebuilt(kind, key, array.size, 0, array.shape, tuple(strides))

    def rebuilt(
        self, kind: str, key: str, count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> bytes:
        storage = b"(" + self.emit("storage") + f"ctorch\n{kind}\n".encode()
        storage += self.emit(key) + self.emit("cpu") + self.emit(count) + b"tQ"
        rest = self.emit(offset) + self.emit(shape) + self.emit(strides) + b"\x89" + b"ccollections\nOrderedDict\n)R"
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"

    def archive(self, pickled: bytes, extra: Mapping[str, bytes] | None = None) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("net/data.pkl", pickled)
            archive.writestr("net/byteorder", b"little")
            for index, data in enumerate(self.storages):
                archive.writestr(f"net/data/{index}", data)
            for name, data in (extra or {}).items():
                archive.writestr(name, data)
        return buffer.getvalue()


def pth(value: Any) -> bytes:
    writer = Pth()
    return writer.archive(writer.pickle(value))


def round8(value: float) -> int:
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def _norm(tensors: Tensors, rng: np.random.Generator, names: tuple[str, str, str, str], channels: int) -> None:
    for name in names:
        tensors[name] = rng.uniform(0.5, 1.5, channels).astype(np.float32)


def torchvision_v2(alpha: float = 0.25, classes: int = 7, seed: int = 0) -> Tensors:
    """torchvision's `mobilenet_v2(width_mult=alpha, num_classes=classes).state_dict()`, by its constructor."""
    rng = np.random.default_rng(seed)
    tensors: Tensors = {}

    def layer(conv: str, norm: str, out: int, inner: int, kernel: int) -> None:
        tensors[f"{conv}.weight"] = rng.normal(0, 0.1, (out, inner, kernel, kernel)).astype(np.float32)
        parts = tuple(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))
        _norm(tensors, rng, (parts[0], parts[1], parts[2], parts[3]), out)
        tensors[f"{norm}.num_batches_tracked"] = np.array(3, np.int64)

    width = round8(32 * alpha)
    layer("features.0.0", "features.0.1", width, 3, 3)
    index = 1
    for t, c, n in ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)):
        for _ in range(n):
            base, hidden, step = f"features.{index}.conv", width * t, 0
            if t != 1:
                layer(f"{base}.0.0", f"{base}.0.1", hidden, width, 1)
                step = 1
            layer(f"{base}.{step}.0", f"{base}.{step}.1", hidden, 1, 3)
            layer(f"{base}.{step + 1}", f"{base}.{step + 2}", round8(c * alpha), hidden, 1)
            width = round8(c * alpha)
            index += 1
    last = round8(1280 * max(1.0, alpha))
    layer("features.18.0", "features.18.1", last, width, 1)
    tensors["classifier.1.weight"] = rng.normal(0, 0.1, (classes, last)).astype(np.float32)
    tensors["classifier.1.bias"] = rng.normal(0, 0.1, classes).astype(np.float32)
    return tensors


def keras_v1(alpha: float = 0.25, classes: int = 7, seed: int = 0) -> Tensors:
    """Weights of `keras.applications.MobileNet(alpha=alpha, classes=classes)` as `layer/weight`."""
    rng = np.random.default_rng(seed)
    tensors: Tensors = {}

    def norm(layer: str, channels: int) -> None:
        names = tuple(f"{layer}/{part}" for part in ("gamma", "beta", "moving_mean", "moving_variance"))
        _norm(tensors, rng, (names[0], names[1], names[2], names[3]), channels)

    width = round8(32 * alpha)
    tensors["conv1/kernel"] = rng.normal(0, 0.1, (3, 3, 3, width)).astype(np.float32)
    norm("conv1_bn", width)
    for index, c in enumerate((64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024), start=1):
        tensors[f"conv_dw_{index}/depthwise_kernel"] = rng.normal(0, 0.1, (3, 3, width, 1)).astype(np.float32)
        norm(f"conv_dw_{index}_bn", width)
        out = round8(c * alpha)
        tensors[f"conv_pw_{index}/kernel"] = rng.normal(0, 0.1, (1, 1, width, out)).astype(np.float32)
        norm(f"conv_pw_{index}_bn", out)
        width = out
    tensors["conv_preds/kernel"] = rng.normal(0, 0.1, (1, 1, width, classes)).astype(np.float32)
    tensors["conv_preds/bias"] = rng.normal(0, 0.1, classes).astype(np.float32)
    return tensors


def keras_config(resolution: int | None, epsilon: float = 1e-3) -> str:
    layers = [
        {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, resolution, resolution, 3]}},
        {"class_name": "Conv2D", "config": {"name": "conv1"}},
        {"class_name": "BatchNormalization", "config": {"name": "conv1_bn", "epsilon": epsilon}},
    ]
    return json.dumps({"class_name": "Functional", "config": {"name": "net", "layers": layers}})


def write_h5(path: Path, tensors: Tensors, resolution: int | None = 64) -> Path:
    """As `model.save("….h5")`: a group a layer under `model_weights`, the configuration as an attribute."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = keras_config(resolution)
        for name, array in tensors.items():
            layer = name.rpartition("/")[0]
            file[f"model_weights/{layer}/{name}:0"] = array
    return path


def write_keras(path: Path, tensors: Tensors, resolution: int | None = 64, *, named: bool = True) -> Path:
    """As `model.save("….keras")` of Keras 3: layers numbered by class; only newer versions note their names."""
    order = ["kernel", "depthwise_kernel", "gamma", "beta", "moving_mean", "moving_variance", "bias"]
    layers: dict[str, list[str]] = {}
    for name in tensors:
        layers.setdefault(name.rpartition("/")[0], []).append(name)
    counts: dict[str, int] = {}
    described: list[dict[str, Any]] = [
        {"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [None, resolution, resolution, 3]}}
    ]
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for layer, names in layers.items():
            kind = "BatchNormalization" if layer.endswith("_bn") else "Conv2D"
            snake = {"BatchNormalization": "batch_normalization", "Conv2D": "conv2d"}[kind]
            if "_dw_" in layer and kind == "Conv2D":
                kind, snake = "DepthwiseConv2D", "depthwise_conv2d"
            count = counts.get(snake, 0)
            counts[snake] = count + 1
            group = file.create_group(f"layers/{snake}_{count}/vars" if count else f"layers/{snake}/vars")
            if named:
                group.attrs["name"] = layer
            for index, name in enumerate(sorted(names, key=lambda name: order.index(name.rpartition("/")[2]))):
                group[str(index)] = tensors[name]
            described.append({"class_name": kind, "config": {"name": layer}})
    config = {"class_name": "Functional", "config": {"name": "net", "layers": described}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", buffer.getvalue())
    return path
