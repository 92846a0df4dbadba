"""An engine's turn, in a process of its own: `python -m mnetdsl.bench.worker REQUEST` prints its times as JSON.

REQUEST is JSON: engine, file, inputs (.npy paths), threads, precision, seconds, outputs (a folder for .npy files, or
null).
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mnetdsl.bench.engines import ENGINES, calm_scheduling

WARM_UP = 0.15
"""Seconds before the clock runs: caches fill, and the processor finds its frequency."""
FEWEST_RUNS = 15


def main(request: str) -> None:
    wanted = json.loads(request)
    engine = ENGINES[wanted["engine"]]
    inputs = [np.load(path) for path in wanted["inputs"]]
    running = engine.load(Path(wanted["file"]), inputs, wanted["threads"], wanted["precision"])
    calm_scheduling()
    warm = time.perf_counter() + WARM_UP
    running.step()
    while time.perf_counter() < warm:
        running.step()
    times: list[float] = []
    end, spent = time.perf_counter() + wanted["seconds"], time.process_time()
    while len(times) < FEWEST_RUNS or time.perf_counter() < end:
        start = time.perf_counter()
        running.step()
        times.append((time.perf_counter() - start) * 1e3)
    # Over all runs: the system adds what other threads have used in steps of milliseconds.
    processor = (time.process_time() - spent) * 1e3 / len(times)
    if wanted["outputs"] is not None:
        for index, array in enumerate(running.result()):
            np.save(Path(wanted["outputs"]) / f"{wanted['engine']}_{index}.npy", array)
    print(json.dumps({"ms": times, "cpu_ms": processor, "version": version(engine.package)}))


if __name__ == "__main__":
    main(sys.argv[1])
