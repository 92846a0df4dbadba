"""The tables of docs/performance.md, made of what was measured: benchmarks/results.

    python -m tools.performance_page            # print the tables
    python -m tools.performance_page --write    # and put them into the page

`make bench-host` and `make bench` measure; tests/docs/test_performance_page.py holds the page to the results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.generated_page import main

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"

OURS = "mnetdsl"
COMPILER = "iree"
"""IREE's own code generation, at its highest level with data tiling."""
MARKS = {("f32", 1): 1.10, ("f32", 2): 1.05, ("int8", 1): 1.25, ("int8", 2): 1.15, ("bf16", 1): 1.0}
"""By precision and number of threads: the ratio to the fastest of the peers that is aimed at."""
COMPILER_MARKS = {"f32": 1.7, "int8": 3.0}
"""The same to the compiler's own code."""


@dataclass(frozen=True)
class Row:
    """An engine on a network: `ratio` is its time over ours by the clock, `cpu_ratio` in processor time.

    `judged` is what aims are held to: on one thread processor time, which other programs hardly disturb; on several
    the lower of both, since there processor time counts waiting that spins.
    """

    network: str
    machine: str
    engine: str
    version: str
    threads: int
    precision: str
    milliseconds: float
    ratio: float
    low: float
    high: float
    cpu_ratio: float
    share: float | None
    difference: float

    @property
    def judged(self) -> float:
        return self.cpu_ratio if self.threads == 1 else min(self.ratio, self.cpu_ratio)


def rows(folder: Path = RESULTS) -> list[Row]:
    """Everything in the files that benchmarks/host.py wrote."""
    return [row for path in sorted(folder.glob("host_*.json")) for row in _rows(json.loads(path.read_text()))]


def _rows(report: dict[str, Any]) -> Iterator[Row]:
    for one in report["engines"]:
        low, high = one["ratio_spread"]
        yield Row(
            report["network"],
            report["machine"],
            one["engine"],
            one["version"],
            one["threads"],
            one["precision"],
            one["median_ms"],
            one["ratio"],
            low,
            high,
            one["cpu_ratio"],
            one["peak_share"],
            one["difference"],
        )


def table(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Markdown."""
    rule = "|" + "---|" * len(header)
    return "\n".join([_line(header), rule, *map(_line, lines)])


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def engines(measured: Sequence[Row]) -> str:
    """Every engine on every network."""
    header = ("Network", "Threads", "", "Engine", "ms", "Ratio", "of rounds", "CPU ratio", "Of peak", "Difference")
    return table(
        header,
        (
            (
                f"`{row.network}`",
                row.threads,
                row.precision,
                row.engine,
                f"{row.milliseconds:.2f}",
                f"{row.ratio:.2f}",
                f"{row.low:.2f} to {row.high:.2f}",
                f"{row.cpu_ratio:.2f}",
                "" if row.share is None else f"{row.share:.0%}",
                f"{row.difference:.1e}",
            )
            for row in measured
        ),
    )


def marks(measured: Sequence[Row]) -> str:
    """What the networks aim at, and what they reach."""
    cases = dict.fromkeys((row.network, row.threads, row.precision) for row in measured)
    return table(
        ("Network", "Threads", "", "Fastest peer", "Ratio", "Aim", "IREE's own", "Aim"),
        (line for case in cases for line in _mark(*case, measured)),
    )


def _mark(network: str, threads: int, precision: str, measured: Sequence[Row]) -> list[tuple[object, ...]]:
    here = [row for row in measured if (row.network, row.threads, row.precision) == (network, threads, precision)]
    peers = [row for row in here if row.engine not in (OURS, COMPILER)]
    plain = next((row for row in here if row.engine == COMPILER), None)
    if not peers or (precision, threads) not in MARKS:
        return []
    best = min(peers, key=lambda row: row.judged)
    own = ("", "") if plain is None else (_reached(plain.judged, COMPILER_MARKS[precision]), COMPILER_MARKS[precision])
    aim = MARKS.get((precision, threads))
    ours = (f"{best.judged:.2f}", "") if aim is None else (_reached(best.judged, aim), f"{aim:.2f}")
    return [(f"`{network}`", threads, precision, best.engine, *ours, *own)]


def _reached(ratio: float, aim: float) -> str:
    return f"**{ratio:.2f}**" if ratio >= aim else f"{ratio:.2f}"


def machines(measured: Sequence[Row]) -> str:
    """What ran where: one line for each processor and set of versions."""
    found: dict[str, dict[str, str]] = {}
    for row in measured:
        found.setdefault(row.machine, {})[row.engine] = row.version
    return "\n".join(
        f"* {machine}: " + ", ".join(f"{NAMES.get(engine, engine)} {version}" for engine, version in versions.items())
        for machine, versions in found.items()
    )


NAMES = {
    OURS: "our modules on IREE",
    COMPILER: "IREE's own code",
    "litert": "LiteRT",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
}


def interpreter(folder: Path = RESULTS) -> str:
    """The NumPy interpreter beside ONNX Runtime, one thread, processor time."""
    found = {path: json.loads(path.read_text()) for path in sorted(folder.glob("interpreter_*.json"))}
    return table(
        ("Network", "ms", "Ratio", "of rounds"),
        (
            (
                f"`{path.stem.removeprefix('interpreter_')}`",
                f"{one['cpu_ms']:.1f}",
                f"{one['ratio']:.2f}",
                f"{one['smallest_ratio']:.2f} to {one['largest_ratio']:.2f}",
            )
            for path, one in ((path, result["summary"]["interpreter"]) for path, result in found.items())
        ),
    )


def tables(folder: Path = RESULTS) -> dict[str, str]:
    """Text of each generated part of the page, by its name."""
    measured = rows(folder)
    return {
        "machines": machines(measured),
        "marks": marks(measured),
        "engines": engines(measured),
        "interpreter": interpreter(folder),
    }


if __name__ == "__main__":
    main(__doc__, PAGE, tables())
