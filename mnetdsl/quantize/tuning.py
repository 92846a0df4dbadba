"""Integer weights and biases, layer by layer, each on what the quantized layers before it really give.

Float and quantized network walk side by side over the calibration images. When a layer is reached, the moments of what
reaches it in the quantized one are known: its codes are rounded so that its results stay (`rounding`), and its bias
takes up what all that was rounded before changes on average (`bias`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType, Storage
from mnetdsl.quantize import bias, weights
from mnetdsl.quantize.grid import numbers, rounded
from mnetdsl.quantize.layers import Layer, weighted_layers, windows
from mnetdsl.quantize.rounding import Moments, learned, output_error
from mnetdsl.quantize.simulate import Lane, Reader, stored, walk
from mnetdsl.quantize.weights import QuantizedRows

Array = NDArray[np.generic]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

PLACES = 24_000
"""Windows that a layer's moments are taken over, of all images together."""


@dataclass(frozen=True)
class Techniques:
    """What is done to the weights; all of it by default."""

    mse_scales: bool = True
    learned_rounding: bool = True
    bias_correction: bool = True


@dataclass(frozen=True)
class TunedLayer:
    """A layer's integers; bias [O] in units of the accumulator, None where it has none."""

    codes: QuantizedRows
    bias: Doubles | None


@dataclass
class Tuned:
    """What tuning found. codes and biases by layer; noise and power by tensor, in sum over all elements."""

    codes: dict[str, QuantizedRows] = field(default_factory=dict)
    biases: dict[str, Doubles] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)
    power: dict[str, float] = field(default_factory=dict)
    outputs: list[dict[str, Array]] = field(default_factory=list)
    float_outputs: list[dict[str, Array]] = field(default_factory=list)

    def sqnr(self, name: str) -> float:
        """Signal to noise of a tensor in decibels."""
        noise, power = self.noise[name], self.power[name]
        if noise <= 0.0:
            return float("inf")
        return float(10.0 * np.log10(max(power, 1e-300) / noise))


class _Tuner:
    def __init__(
        self,
        module: Module,
        storages: Mapping[str, Storage],
        in_float: frozenset[str],
        lanes: int,
        images: int,
        techniques: Techniques,
        progress: Callable[[int], None],
        known: Mapping[str, TunedLayer],
        keep: Callable[[str, TunedLayer], None],
    ) -> None:
        self.known, self.keep = known, keep
        self.storages = storages
        self.in_float = in_float
        self.lanes = lanes
        self.images = max(1, images)
        self.techniques = techniques
        self.progress = progress
        self.layers = weighted_layers(module)
        self.outputs = frozenset(port.value for port in module.graph.outputs)
        self.exact = dict(module.resources)
        self.changed = {**module.resources, **_rounded_constants(module, storages)}
        self.result = Tuned()
        self.grids: dict[Value, float] = {
            port.value: numbers(storages[port.name])[0] for port in module.graph.inputs if port.name in storages
        }

    def before(self, op: Op, reader: Reader) -> None:
        layer = self.layers.get(op.name)
        if layer is None or op.name in self.in_float:
            return
        scale_in = self.grids[layer.input]
        if op.name in self.known:
            self._take(layer, self.known[op.name], scale_in)
            return
        moments = self._moments(layer, reader)
        rows, biases = layer.rows(self.exact), layer.biases(self.exact)
        codes = self._codes(layer, rows, moments, biases, scale_in)
        stored_bias = None
        if layer.bias is not None:
            if self.techniques.bias_correction:
                biases = biases + self._correction(layer, reader, rows, codes)
            stored_bias = weights.bias_codes(biases, scale_in, codes.scale)
        found = TunedLayer(codes, stored_bias)
        self._take(layer, found, scale_in)
        self.keep(op.name, found)

    def _take(self, layer: Layer, found: TunedLayer, scale_in: float) -> None:
        self.result.codes[layer.name] = found.codes
        biases = np.zeros(layer.outputs)
        if found.bias is not None:
            self.result.biases[layer.name] = found.bias
            biases = found.bias * scale_in * found.codes.scale
        layer.store(self.changed, found.codes.real, biases)

    def _moments(self, layer: Layer, reader: Reader) -> Moments:
        moments = Moments()
        for given in reader.lanes(layer.input)[self.lanes :]:
            moments.add(self._windows(layer, given, PLACES))
        return moments

    def _correction(self, layer: Layer, reader: Reader, rows: Doubles, codes: QuantizedRows) -> Doubles:
        values, biases = reader.lanes(layer.input), layer.biases(self.exact).astype(np.float32)
        both = []
        for lanes, filters in ((values[: self.lanes], rows), (values[self.lanes :], codes.real)):
            parts = [layer.apply(filters, self._windows(layer, given, bias.PLACES)) for given in lanes]
            both.append(np.concatenate(parts) + biases)
        return bias.correction(both[0], both[1], bias.function_behind(layer.op, self.outputs))

    def _windows(self, layer: Layer, values: Array, places: int) -> Floats:
        return windows(layer, np.asarray(values, np.float32), max(1, places // self.images))

    def _codes(self, layer: Layer, rows: Doubles, moments: Moments, biases: Doubles, scale_in: float) -> QuantizedRows:
        covariance = moments.covariance()
        scale = weights.extreme_scales(rows)
        if self.techniques.mse_scales:
            importance = np.diagonal(covariance, axis1=-2, axis2=-1)
            if importance.ndim == 2:
                importance = np.repeat(importance, len(rows) // len(importance), axis=0)
            scale = weights.best_scales(rows, importance)
        scale = weights.scales_for_biases(scale, rows, biases, scale_in)
        codes = weights.nearest(rows, scale)
        if self.techniques.learned_rounding:
            better = learned(rows, scale, covariance, moments.count)
            wins = output_error(rows, better, covariance) < output_error(rows, codes, covariance)
            codes = QuantizedRows(np.where(wins[:, None], better.codes, codes.codes), scale)
        return codes

    def after(self, op: Op, results: list[Array]) -> list[Array]:
        self.progress(1)
        given = [stored(op, result, self.storages) for result in results[self.lanes :]]
        storage = self.storages.get(op.name)
        if storage is not None:
            self.grids[op.result] = numbers(storage)[0]
        elif op.operands and op.operands[0] in self.grids:
            self.grids[op.result] = self.grids[op.operands[0]]
        if storage is not None and storage.element is not ElementType.F32:
            noise = power = 0.0
            for seen, quantized in zip(results[: self.lanes], given, strict=True):
                exact = np.asarray(seen, np.float32)
                lost = exact - np.asarray(quantized, np.float32)
                noise += float(np.square(lost, dtype=np.float64).sum())
                power += float(np.square(exact, dtype=np.float64).sum())
            self.result.noise[op.name], self.result.power[op.name] = noise, power
        return [*results[: self.lanes], *given]


def _rounded_constants(module: Module, storages: Mapping[str, Storage]) -> dict[str, Array]:
    """Constants that are operands like activations, as they are stored."""
    return {
        op.resource: rounded(np.asarray(module.resources[op.resource], np.float32), storages[op.resource])
        for op in module.graph.operations
        if isinstance(op, Constant) and op.resource in storages
    }


def _rounded_inputs(batch: Mapping[str, Array], module: Module, storages: Mapping[str, Storage]) -> Mapping[str, Array]:
    """Inputs of real numbers as they are stored; images are stored where they are normalized."""
    changed = dict(batch)
    for port in module.graph.inputs:
        if port.value.type.element is ElementType.F32 and port.name in storages:
            changed[port.name] = rounded(np.asarray(batch[port.name], np.float32), storages[port.name])
    return changed


def tune(
    module: Module,
    storages: Mapping[str, Storage],
    batches: Sequence[Mapping[str, Array]],
    *,
    in_float: frozenset[str] = frozenset(),
    techniques: Techniques | None = None,
    progress: Callable[[int], None] = lambda steps: None,
    known: Mapping[str, TunedLayer] | None = None,
    keep: Callable[[str, TunedLayer], None] = lambda name, layer: None,
) -> Tuned:
    """Integer weights for a `quantizable` module with float weights, and what each tensor loses.

    storages: of the named tensors. batches: calibration inputs. progress: told of each operation.
    known: layers whose integers an earlier run found; keep: told of each that this one finds.
    """
    images = sum(len(next(iter(batch.values()))) for batch in batches)
    tuner = _Tuner(
        module, storages, in_float, len(batches), images, techniques or Techniques(), progress, known or {}, keep
    )
    lanes = [Lane(batch, tuner.exact) for batch in batches]
    lanes += [Lane(_rounded_inputs(batch, module, storages), tuner.changed) for batch in batches]
    outputs = walk(module, lanes, tuner.before, tuner.after)
    tuner.result.float_outputs, tuner.result.outputs = outputs[: len(batches)], outputs[len(batches) :]
    return tuner.result
