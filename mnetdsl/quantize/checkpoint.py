"""What an interrupted quantization has found so far, in a file that the next run of the same continues from."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mnetdsl.files import write_whole
from mnetdsl.ir.core import Module
from mnetdsl.ir.printer import print_module
from mnetdsl.ir.types import ElementType, Quantization, Storage
from mnetdsl.quantize.choose import Chosen
from mnetdsl.quantize.grid import numbers
from mnetdsl.quantize.histogram import TensorStatistics
from mnetdsl.quantize.tuning import TunedLayer
from mnetdsl.quantize.weights import QuantizedRows
from mnetdsl.version import __version__

Array = NDArray[np.generic]
_SECONDS = 10.0
_FINGERPRINT = "fingerprint"


@dataclass
class Checkpoint:
    """statistics: of all tensors once they were observed. chosen: their storages, once all are. costs: as `Quantized`
    has them. layers: those whose integers are found.

    Without `path` nothing is written. What stands at `path` is read by `resumed`.
    """

    path: Path | None = None
    fingerprint: str = ""
    statistics: dict[str, TensorStatistics] = field(default_factory=dict)
    chosen: dict[str, Chosen] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    layers: dict[str, TunedLayer] = field(default_factory=dict)
    _written: float = field(default_factory=time.monotonic)

    @classmethod
    def resumed(cls, path: Path, fingerprint: str) -> Checkpoint:
        """What `path` holds of a run with that fingerprint; nothing where it is another's, damaged or not there."""
        found = cls(path, fingerprint)
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {key: stored[key] for key in stored.files}
            if str(arrays.pop(_FINGERPRINT)) == fingerprint:
                found._take(arrays)
        except (OSError, ValueError, KeyError, BadZipFile, EOFError):
            return cls(path, fingerprint)
        return found

    def _take(self, arrays: Mapping[str, Array]) -> None:
        groups: dict[tuple[str, str], dict[str, Array]] = {}
        for key, array in arrays.items():
            kind, name, part = key.split("/")
            groups.setdefault((kind, name), {})[part] = array
        for (kind, name), parts in groups.items():
            if kind == "seen":
                self.statistics[name] = TensorStatistics.from_arrays(parts)
            elif kind == "chosen":
                element, observer = (str(word) for word in parts["words"])
                step, zero_point = (float(number) for number in np.asarray(parts["numbers"], np.float64))
                quantization = Quantization.per_tensor(step, int(zero_point))
                self.chosen[name] = Chosen(Storage(ElementType(element), quantization), observer)
            elif kind == "cost":
                self.costs[name] = float(np.asarray(parts["share"], np.float64))
            else:
                codes, scale, bias = (np.asarray(parts[part], np.float64) for part in ("codes", "scale", "bias"))
                self.layers[name] = TunedLayer(QuantizedRows(codes, scale), bias if bias.size else None)

    def observed(self, statistics: Mapping[str, TensorStatistics]) -> None:
        self.statistics = dict(statistics)
        self._sometimes()

    def decided(self, chosen: Mapping[str, Chosen], costs: Mapping[str, float]) -> None:
        self.chosen, self.costs = dict(chosen), dict(costs)
        self._sometimes()

    def tuned(self, name: str, layer: TunedLayer) -> None:
        self.layers[name] = layer
        self._sometimes()

    def _sometimes(self) -> None:
        if time.monotonic() - self._written > _SECONDS:
            self.write()

    def write(self) -> None:
        """Writes all that is known."""
        if self.path is None or not self.statistics:
            return
        arrays: dict[str, Array] = {_FINGERPRINT: np.array(self.fingerprint)}
        for name, seen in self.statistics.items():
            arrays |= {f"seen/{name}/{part}": array for part, array in seen.arrays().items()}
        for name, item in self.chosen.items():
            arrays[f"chosen/{name}/words"] = np.array([item.storage.element.value, item.observer])
            arrays[f"chosen/{name}/numbers"] = np.array(numbers(item.storage), np.float64)
        for name, share in self.costs.items():
            arrays[f"cost/{name}/share"] = np.array(share, np.float64)
        for name, layer in self.layers.items():
            arrays[f"layer/{name}/codes"] = layer.codes.codes
            arrays[f"layer/{name}/scale"] = layer.codes.scale
            arrays[f"layer/{name}/bias"] = np.zeros(0) if layer.bias is None else layer.bias
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **arrays)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, stream.getvalue())
        self._written = time.monotonic()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Keeps the file where the run was interrupted; a complete one leaves none."""
        if kind is not None:
            self.write()
        elif self.path is not None:
            with suppress(FileNotFoundError):
                self.path.unlink()


def fingerprint(module: Module, batches: tuple[Array, ...], settings: str) -> str:
    """Changes with the network, its weights, the images, the settings and the version that chooses by them."""
    digest = hashlib.sha256(print_module(module).encode())
    digest.update(__version__.encode())
    digest.update(settings.encode())
    for name in sorted(module.resources):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(module.resources[name]).tobytes())
    for batch in batches:
        digest.update(np.ascontiguousarray(batch).tobytes())
    return digest.hexdigest()
