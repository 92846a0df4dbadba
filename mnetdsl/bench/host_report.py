"""What measuring on this processor found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from mnetdsl.bench import Table


@dataclass(frozen=True)
class Measured:
    """An engine with a number of threads. Each entry of `ms` (by the clock) and `cpu_ms` (of all threads) is a turn;
    `difference` is that of its outputs from the interpreter's, as a fraction of their largest magnitude."""

    engine: str
    threads: int
    precision: str
    ms: tuple[float, ...]
    cpu_ms: tuple[float, ...]
    difference: float
    version: str

    def ratio(self, ours: Measured) -> tuple[float, float, float]:
        """(its time / ours) by the clock: median over the rounds, smallest, largest."""
        return _ratios(self.ms, ours.ms)

    def cpu_ratio(self, ours: Measured) -> tuple[float, float, float]:
        """The same in processor time."""
        return _ratios(self.cpu_ms, ours.cpu_ms)


def _ratios(theirs: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    ratios = [one / other for one, other in zip(theirs, ours, strict=True)]
    return median(ratios), min(ratios), max(ratios)


@dataclass(frozen=True)
class HostReport:
    """`macs` are the network's; `peak` multiply-accumulates a second by number of threads, from registers alone."""

    network: str
    machine: str
    macs: int
    baseline: str
    engines: tuple[Measured, ...]
    peak: dict[int, float]

    def _ours(self, threads: int) -> Measured:
        return next(one for one in self.engines if (one.engine, one.threads) == (self.baseline, threads))

    def _share(self, one: Measured) -> float | None:
        """Of the peak that the network's multiply-accumulates make."""
        peak = self.peak.get(one.threads)
        return None if not peak else self.macs / (median(one.ms) * 1e-3) / peak

    def to_json(self) -> dict[str, object]:
        return {
            "network": self.network,
            "machine": self.machine,
            "macs": self.macs,
            "peak_gmacs": {str(threads): round(peak / 1e9, 1) for threads, peak in self.peak.items()},
            "engines": [self._engine_json(one) for one in self.engines],
        }

    def _engine_json(self, one: Measured) -> dict[str, object]:
        ratio, low, high = one.ratio(self._ours(one.threads))
        share = self._share(one)
        return {
            "engine": one.engine,
            "version": one.version,
            "threads": one.threads,
            "precision": one.precision,
            "median_ms": round(median(one.ms), 4),
            "rounds_ms": [round(turn, 4) for turn in one.ms],
            "cpu_ms": round(median(one.cpu_ms), 4),
            "ratio": round(ratio, 3),
            "ratio_spread": [round(low, 3), round(high, 3)],
            "cpu_ratio": round(one.cpu_ratio(self._ours(one.threads))[0], 3),
            "difference": float(f"{one.difference:.2e}"),
            "peak_share": None if share is None else round(share, 3),
        }

    def heading(self) -> Sequence[str]:
        peaks = ", ".join(f"{peak / 1e9:.0f} on {threads}" for threads, peak in self.peak.items())
        return [
            f"{self.network} behind its preprocessing, batch 1, {self.macs / 1e6:,.0f} million multiply-accumulates",
            f"{self.machine}; peak in thousand millions a second, by number of threads: {peaks or 'not measured'}",
        ]

    def table(self) -> Table:
        rows = []
        for one in self.engines:
            ratio, low, high = one.ratio(self._ours(one.threads))
            share = self._share(one)
            rows.append(
                (
                    one.engine,
                    one.version,
                    str(one.threads),
                    one.precision,
                    f"{median(one.ms):.3f}",
                    f"{min(one.ms):.3f} to {max(one.ms):.3f}",
                    f"{ratio:.2f}",
                    f"{low:.2f} to {high:.2f}",
                    f"{one.cpu_ratio(self._ours(one.threads))[0]:.2f}",
                    "" if share is None else f"{share:.0%}",
                    f"{one.difference:.1e}",
                )
            )
        header = (
            "ENGINE",
            "VERSION",
            "THREADS",
            "",
            "MS",
            "ROUNDS",
            "RATIO",
            "ROUNDS",
            "CPU RATIO",
            "OF PEAK",
            "DIFFERENCE",
        )
        return Table(header, rows, (False, False, True, False, *[True] * 7))

    def notes(self) -> Sequence[str]:
        return [
            f"RATIO is the engine's time over that of {self.baseline} by the clock, CPU RATIO in processor time: "
            f"over 1, {self.baseline} is faster"
        ]
