"""What quantization did to each tensor, for people and for scripts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mnetdsl.quantize.grid import real_range
from mnetdsl.quantize.histogram import SIDE, TensorStatistics
from mnetdsl.quantize.quantizer import Quantized
from mnetdsl.sema.quantization import STORED_TYPES

_TYPES = {element: name for name, element in STORED_TYPES.items()}


@dataclass(frozen=True)
class TensorReport:
    """A row of the report.

    seen and stored are ranges. clipped is the share of values outside the stored range; sqnr the tensor's signal to
    noise in decibels with everything before it quantized, None for constants. dead channels were seen to hold nothing
    but zeros, constant ones nothing but one other number.
    """

    name: str
    type: str
    observer: str
    seen: tuple[float, float]
    stored: tuple[float, float]
    clipped: float
    sqnr: float | None
    channels: int
    dead: int
    constant: int
    cost: float | None

    def as_json(self) -> dict[str, object]:
        finite = self.sqnr is not None and math.isfinite(self.sqnr)
        return {
            "tensor": self.name,
            "type": self.type,
            "ranges": self.observer,
            "seen": list(self.seen),
            "stored": list(self.stored),
            "clipped": self.clipped,
            "sqnr": self.sqnr if finite else None,
            "channels": self.channels,
            "dead": self.dead,
            "constant": self.constant,
            "cost": self.cost,
        }

    def cells(self) -> tuple[str, ...]:
        """As `HEADER` calls them."""
        return (
            self.name,
            self.type,
            self.observer,
            f"{self.seen[0]:.4g} to {self.seen[1]:.4g}",
            f"{self.stored[0]:.4g} to {self.stored[1]:.4g}",
            f"{100 * self.clipped:.2g} %" if self.clipped else "-",
            "-" if self.sqnr is None else "exact" if math.isinf(self.sqnr) else f"{self.sqnr:.1f}",
            f"{self.dead} of {self.channels}" if self.dead else "-",
            str(self.constant) if self.constant else "-",
        )


HEADER = ("TENSOR", "TYPE", "RANGES", "SEEN", "STORED", "CLIPPED", "SQNR dB", "DEAD", "CONSTANT")
RIGHT = (False, False, False, True, True, True, True, True, True)


def report(found: Quantized) -> list[TensorReport]:
    """A row for each tensor, in order."""
    rows = []
    for name, chosen in found.chosen.items():
        seen = found.statistics[name]
        constant = np.isfinite(seen.low) & (seen.low == seen.high)
        dead = constant & (seen.low == 0.0)
        rows.append(
            TensorReport(
                name,
                _TYPES[chosen.storage.element],
                chosen.observer,
                seen.range,
                real_range(chosen.storage),
                clipped(seen, real_range(chosen.storage)),
                found.tuned.sqnr(name) if name in found.tuned.noise else None,
                len(seen.low),
                int(dead.sum()),
                int(constant.sum() - dead.sum()),
                found.costs.get(name),
            )
        )
    return rows


def clipped(statistics: TensorStatistics, stored: tuple[float, float]) -> float:
    """The share of the values that lie outside `stored`, to the width of a histogram's bin."""
    histogram = statistics.histogram
    lows = (np.arange(2 * SIDE) - SIDE) * histogram.width
    outside = (lows >= stored[1]) | (lows + histogram.width <= stored[0])
    return float(histogram.counts[outside].sum() / max(1, histogram.total))
