"""From a float network and calibration images to the rows and integers of a quantized one.

quantizable module
  -> equalize     channels of one tensor to one range, where that changes nothing
  -> observe      what each tensor holds on the images
  -> choose       a storage for each tensor, 16 bits for those that cost most in 8, where asked for
  -> tune         integer weights and biases, layer by layer, and what each tensor then loses
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.quantize.apply import FLOAT_ONLY, named_tensors, quantizable
from mnetdsl.quantize.arrays import weight_arrays
from mnetdsl.quantize.calibration import Calibration
from mnetdsl.quantize.checkpoint import Checkpoint, fingerprint
from mnetdsl.quantize.choose import AUTO, Chosen, choose_storages, widened
from mnetdsl.quantize.equalize import Equalized, equalize, scalable_groups
from mnetdsl.quantize.histogram import TensorStatistics
from mnetdsl.quantize.observe import observe
from mnetdsl.quantize.precision import check_wide, costliest
from mnetdsl.quantize.ranges import SHARE
from mnetdsl.quantize.simulate import peak_bytes
from mnetdsl.quantize.tuning import Techniques, Tuned, tune
from mnetdsl.sema.quantization import QuantizedTensor

Array = NDArray[np.generic]
Progress = Callable[[str, float], None]
"""Told of a stage and of how much of it was done since the last call, as a share."""

STAGES = {"equalizing": 1.0, "observing": 2.0, "choosing ranges": 4.5, "ranking": 1.0, "rounding weights": 9.0}
"""Stages, in order -> how long they take beside each other. Some are left out, by settings or in a run that goes on."""
TUNING_BYTES = 3 << 30
"""Memory for the tensors of calibration images that are alive at once; more images than fit are left out there."""
EQUALIZING_IMAGES = 32
"""Images that the ranges of channels are taken from."""
CHOOSING_IMAGES = 48
"""Images that candidates of storages are tried on: of fewer, ranges come out too tight for the odd image."""
RANKING_IMAGES = 16
"""Images that say which tensors cost most."""


@dataclass(frozen=True)
class Settings:
    """What a user may change; the defaults are meant to be enough.

    observer: of `ranges.OBSERVERS`, or `auto`. share: per cent of the values that `percentile` keeps. wide, in_float:
    tensors of 16 bits, and layers on real numbers, by their names in the table. widest: how many more tensors get 16
    bits, those that cost most in 8.
    """

    observer: str = AUTO
    share: float = SHARE
    equalize: bool = True
    techniques: Techniques = field(default_factory=Techniques)
    wide: frozenset[str] = frozenset()
    in_float: frozenset[str] = frozenset()
    widest: int = 0

    def described(self) -> str:
        """All of it, alike in every run."""
        layers = sorted(self.wide), sorted(self.in_float)
        return f"{self.observer} {self.share} {self.equalize} {self.techniques} {layers} {self.widest}"


@dataclass(frozen=True)
class Quantized:
    """What was found. statistics and chosen by tensor; `module` is the `quantizable` one, with equalized weights.

    costs: of the tensors that were given 16 bits for it, noise of the outputs by 8 bits, in shares of their power.
    """

    module: Module
    rows: tuple[QuantizedTensor, ...]
    chosen: Mapping[str, Chosen]
    statistics: Mapping[str, TensorStatistics]
    tuned: Tuned
    equalized: tuple[Equalized, ...]
    images: int
    tuned_images: int
    costs: Mapping[str, float]

    def arrays(self, quantized: Module) -> dict[str, Array]:
        """The weight file for `quantized`, which `apply_quantization` makes of the network and `rows`."""
        return weight_arrays(quantized, self.module, self.module.resources, self.tuned)


def quantize_module(
    network: Module,
    calibration: Calibration,
    settings: Settings | None = None,
    partial: Path | None = None,
    progress: Progress = lambda stage, share: None,
) -> Quantized:
    """Quantizes a float module as built, with weights.

    partial: a file to keep what is found in until all is; a run that was interrupted is continued from it.
    Raises `MnetError`: MN1809 where the float network gives NaN or infinity, MN1810 for a layer it has not.
    """
    settings = settings or Settings()
    module = quantizable(network)
    _check_layers(module, settings)
    check_wide(module, settings.wide)
    batches = [{calibration.input: batch} for batch in calibration.batches]
    total = max(1, calibration.images)
    state = Checkpoint()
    if partial is not None:
        state = Checkpoint.resumed(partial, fingerprint(module, calibration.batches, settings.described()))
    equalized = _equalized(module, batches, progress) if settings.equalize else []
    with state:
        statistics = state.statistics
        if not statistics:
            statistics = observe(module, batches, lambda images: progress("observing", images / total))
            state.observed(statistics)
        steps = _steps(module)
        if not state.chosen:
            state.decided(*_decided(module, statistics, calibration, settings, progress))
        chosen, costs = state.chosen, state.costs
        storages = {name: item.storage for name, item in chosen.items()}
        fitting = max(1, TUNING_BYTES // (2 * peak_bytes(module) * len(calibration.batches[0])))
        in_float = settings.in_float | _float_only(module)
        tuned = tune(
            module,
            storages,
            batches[:fitting],
            in_float=in_float,
            techniques=settings.techniques,
            progress=lambda ops: progress("rounding weights", ops / steps),
            known=dict(state.layers),
            keep=state.tuned,
        )
    rows = tuple(QuantizedTensor(name, item.storage, in_float=name in in_float) for name, item in chosen.items())
    images = sum(len(batch[calibration.input]) for batch in batches[:fitting])
    return Quantized(module, rows, chosen, statistics, tuned, tuple(equalized), calibration.images, images, costs)


def _decided(
    module: Module,
    statistics: Mapping[str, TensorStatistics],
    calibration: Calibration,
    settings: Settings,
    progress: Progress,
) -> tuple[dict[str, Chosen], dict[str, float]]:
    """The storages of all tensors, and what those cost in 8 bits that were given 16 for it."""
    batches = [{calibration.input: batch} for batch in calibration.batches]
    steps = _steps(module)
    chosen = choose_storages(
        module,
        statistics,
        _first(batches, CHOOSING_IMAGES),
        observer=settings.observer,
        share=settings.share,
        wide=settings.wide,
        progress=lambda ops: progress("choosing ranges", ops / steps),
    )
    if not settings.widest:
        return chosen, {}
    kept = {name: item.storage for name, item in chosen.items() if name not in settings.wide}
    some = [batch[calibration.input] for batch in _first(batches, RANKING_IMAGES)]
    costs = costliest(
        module,
        kept,
        {calibration.input: np.concatenate(some)},
        settings.widest,
        lambda tensors: progress("ranking", tensors / len(chosen)),
    )
    return chosen | {name: widened(statistics[name], chosen[name]) for name in costs}, costs


def _steps(module: Module) -> int:
    return max(1, sum(1 for op in module.graph.operations if not isinstance(op, Constant)))


def _equalized(module: Module, batches: Sequence[Mapping[str, Array]], progress: Progress) -> list[Equalized]:
    """Equalizes `module`, whose resources become its own, by the ranges that the first images show."""
    if not scalable_groups(module):
        return []
    first = _first(batches, EQUALIZING_IMAGES)
    some = sum(len(next(iter(batch.values()))) for batch in first)
    seen = observe(module, first, lambda images: progress("equalizing", images / some))
    extents = {name: np.maximum(np.abs(item.low), np.abs(item.high)) for name, item in seen.items()}
    module.resources = dict(module.resources)
    return equalize(module, module.resources, extents)


def _first(batches: Sequence[Mapping[str, Array]], images: int) -> Sequence[Mapping[str, Array]]:
    """The batches that hold the first `images`, at least one."""
    size = len(next(iter(batches[0].values()))) if batches else 1
    return batches[: max(1, images // max(1, size))]


def _float_only(module: Module) -> frozenset[str]:
    return frozenset(op.name for op in module.graph.operations if op.opcode in FLOAT_ONLY)


def _check_layers(module: Module, settings: Settings) -> None:
    """Raises MN1810 for each name of `settings` that no layer has."""
    named = dict(named_tensors(module))
    layers = [name for name, value in named.items() if _computes(value.producer)]
    problems = [
        _unknown_layer(module, f"{option} {name}", did_you_mean(name, known), known)
        for wanted, known, option in ((settings.wide, list(named), "--int16"), (settings.in_float, layers, "--float"))
        for name in sorted(wanted - set(known))
    ]
    if problems:
        raise MnetError(*problems)


def _unknown_layer(module: Module, given: str, suggestion: str | None, known: Sequence[str]) -> Diagnostic:
    return error(
        "MN1810",
        f"{given}: `{module.name}` has no such layer",
        help=(
            *((f"did you mean `{suggestion}`?",) if suggestion else ()),
            "layers are called as in the table that is written, such as " + ", ".join(known[1:4] or known),
        ),
    )


def _computes(producer: Op | None) -> bool:
    return producer is not None and producer.opcode not in ("constant", "normalize")
