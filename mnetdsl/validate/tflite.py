"""TensorFlow Lite's reference kernels, every tensor kept: what imported networks are compared with."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.diagnostics.extras import install
from mnetdsl.files import MIB, read_bytes
from mnetdsl.numerics.conversions import quantize
from mnetdsl.numerics.grid import Grid

Array = NDArray[Any]
FORMAT = "mnetdsl tensors 1"
MAX_MAP = 16 * MIB
_IDENTIFIER = b"TFL3"
_REFUSALS = (ValueError, RuntimeError, TypeError)
"""What the runtime raises on files and inputs that it does not take."""


@dataclass(frozen=True)
class MappedInput:
    """How pixels become the file's input: as they are, less 128, or normalized; with a `scale` stored by it."""

    tensor: int
    element: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels_first: bool
    scale: float = 0.0
    zero_point: int = 0

    def given(self, pixels: Array) -> Array:
        """The file's input for pixels [N, H, W, C]."""
        found = self._converted(pixels)
        return np.ascontiguousarray(found.transpose(0, 3, 1, 2)) if self.channels_first else found

    def _converted(self, pixels: Array) -> Array:
        if pixels.dtype == np.float32:
            return pixels
        if self.scale:
            return quantize(self._normalized(pixels), Grid(self.element, self.scale, self.zero_point))
        if self.element == "int8":
            return (pixels.astype(np.int16) - 128).astype(np.int8)
        if self.element == "uint8":
            return pixels
        return self._normalized(pixels)

    def _normalized(self, pixels: Array) -> NDArray[np.float32]:
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return ((pixels.astype(np.float32) - mean) / std).astype(np.float32)


@dataclass(frozen=True)
class TensorMap:
    """What the import wrote beside the network: inputs, layers and outputs -> numbers of tensors."""

    path: str
    source: str
    sha256: str
    inputs: Mapping[str, MappedInput]
    layers: Mapping[str, int]
    outputs: Mapping[str, int]


def read_map(network: Path, against: Path | None = None) -> TensorMap:
    """The map that an export wrote beside the file `against`, else the one that an import wrote beside `network`.mnet.

    Raises MN1310 where there is none, or where it is none.
    """
    path = network.with_suffix(".tensors.json")
    if against is not None and against.with_suffix(".tensors.json").is_file():
        path = against.with_suffix(".tensors.json")
    if not path.is_file():
        raise MnetError(_no_map(network, f"there is no `{path.name}` beside the network"))
    try:
        found = json.loads(read_bytes(path, what="map of tensors", limit=MAX_MAP))
        if found["format"] != FORMAT:
            raise ValueError("another format")
        inputs = {
            str(name): MappedInput(
                int(entry["tensor"]),
                str(entry["element"]),
                _floats(entry["mean"]),
                _floats(entry["std"]),
                bool(entry["channels_first"]),
                _floats([entry.get("scale", 0.0)])[0],
                int(entry.get("zero_point", 0)),
            )
            for name, entry in found["inputs"].items()
        }
        layers = {str(name): int(number) for name, number in found["layers"].items()}
        outputs = {str(name): int(number) for name, number in found["outputs"].items()}
        return TensorMap(str(path), str(found["source"]), str(found["sha256"]), inputs, layers, outputs)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MnetError(_no_map(network, f"`{path.name}` is damaged")) from None


def _floats(values: Sequence[object]) -> tuple[float, ...]:
    numbers = tuple(float(str(value)) for value in values)
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("not finite")
    return numbers


def _no_map(network: Path, why: str) -> Any:
    return error(
        "MN1310",
        f"nothing says which layer of `{network.name}` is which tensor: {why}",
        location=str(network),
        help="import the file again, `mnet import m.tflite -o DIR`, and validate that folder",
    )


class Reference:
    """The file `path` under the reference kernels, without delegates."""

    def __init__(self, path: str, described: TensorMap) -> None:
        """Raises `MnetError`: MN1311 for another file than the imported one, MN1313, MN1701, MN1702, MN09xx."""
        data = read_bytes(path, what="TensorFlow Lite model")
        if data[4:8] != _IDENTIFIER:
            raise MnetError(
                error(
                    "MN1702",
                    "this is no TensorFlow Lite model: its first bytes are not those of one (`TFL3`)",
                    location=path,
                    help="networks are compared with the .tflite they were imported from, or exported to",
                )
            )
        if hashlib.sha256(data).hexdigest() != described.sha256:
            raise MnetError(
                error(
                    "MN1311",
                    f"this is another file than `{described.source}`, which the network was imported from",
                    location=path,
                    help="import this file and validate what comes of it",
                )
            )
        self.path = path
        self.map = described
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError:
            raise MnetError(
                error(
                    "MN1701",
                    "TensorFlow Lite's reference kernels are in the package ai-edge-litert",
                    location=path,
                    help=install("tflite"),
                )
            ) from None
        try:
            self._interpreter = Interpreter(
                model_content=data,
                experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                experimental_preserve_all_tensors=True,
            )
            self._interpreter.allocate_tensors()
        except _REFUSALS as problem:
            raise self._refused(problem) from None

    def run(self, inputs: Mapping[str, Array], tensors: Collection[int]) -> dict[int, Array]:
        """`tensors` by number for pixels `[N, …]` by input, each `[N, …]`."""
        found: dict[int, list[Array]] = {number: [] for number in tensors}
        count = len(next(iter(inputs.values())))
        try:
            for index in range(count):
                for name, port in self.map.inputs.items():
                    given = port.given(inputs[name][index : index + 1])
                    self._interpreter.set_tensor(port.tensor, given)
                self._interpreter.invoke()
                for number in found:
                    found[number].append(self._interpreter.get_tensor(number))
        except (*_REFUSALS, IndexError, KeyError) as problem:
            raise self._refused(problem) from None
        return {number: np.concatenate(arrays) for number, arrays in found.items()}

    def _refused(self, problem: Exception) -> MnetError:
        return MnetError(
            error(
                "MN1313",
                f"TensorFlow Lite does not run the file: {str(problem).strip().splitlines()[0]}",
                location=self.path,
                help="try it in the tool that made it; import reads it, whether it runs or not",
            )
        )
