"""The interpreter against onnxruntime on one thread: the same network, weights and image.

Each round starts a process for each contender, one after the other in alternating order, so that a slow moment of
the machine meets all of them. A process warms up, then times single runs of batch 1 from the image's bytes to the
logits. Reported are the median over all timed runs by the wall clock, the same in CPU time with the range of the
rounds' medians, the ratio of CPU times to onnxruntime with the range of the rounds' ratios, and how far the logits are
apart. On an idle machine wall clock and CPU time are equal, since there is one thread; on a busy one CPU time alone
compares the programs.

    python benchmarks/interpreter.py [--network mobilenet_v2 | all] [--rounds 7] [--runs 20]

Needs the extra [bench]. Raw times go to benchmarks/results/interpreter_<network>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from mnetdsl.bench.host import check_engines
from mnetdsl.cli.script import count, run_script

RESULTS = Path(__file__).parent / "results"
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
WARM_UP_RUNS = 5
Times = dict[str, list[list[float]]]
BASELINE = "onnxruntime"
CONTENDERS = {
    BASELINE: "onnxruntime, CPU provider, all graph optimizations",
    "interpreter": "interpreter, module optimized as for the backends",
    "interpreter_unoptimized": "interpreter, module as written (batch norm and activations apart)",
}


def prepare(network: str, folder: Path) -> None:
    """Writes the weights, the image and the ONNX file that all contenders read."""
    import numpy as np

    import mnetdsl
    from mnetdsl.exporters.onnx import to_onnx
    from mnetdsl.ir.types import ElementType

    module = mnetdsl.load(network).with_weights("random:1").module
    (port,) = module.graph.inputs
    if port.value.type.element is not ElementType.U8:
        raise SystemExit(f"{network}: the benchmark needs one u8 image as input")
    image = np.random.default_rng(1).integers(0, 256, port.value.type.shape, dtype=np.uint8)
    np.save(folder / "image.npy", image)
    np.savez(folder / "weights.npz", **module.resources)
    (folder / "model.onnx").write_bytes(to_onnx(module))


def contender(name: str, network: str, folder: Path) -> tuple[Callable[[], Any], dict[str, str]]:
    """A function that runs the network once and returns its logits; versions of what it uses."""
    import numpy as np

    image = np.load(folder / "image.npy")
    if name == BASELINE:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: image}
        return lambda: session.run(None, feed)[0], {"onnxruntime": onnxruntime.__version__}
    import mnetdsl
    from mnetdsl.interpreter import run

    loaded = mnetdsl.load(network).with_weights(folder / "weights.npz")
    module = loaded.optimized() if name == "interpreter" else loaded.module
    inputs = {module.graph.inputs[0].name: image}
    result = module.graph.outputs[0].name
    return lambda: run(module, inputs)[result], {"numpy": np.__version__}


def work(name: str, network: str, runs: int, folder: Path) -> None:
    """Body of a contender's process: prints its times in milliseconds as JSON, saves its logits."""
    import numpy as np

    run_once, versions = contender(name, network, folder)
    for _ in range(WARM_UP_RUNS):
        logits = run_once()
    wall, cpu = [], []
    for _ in range(runs):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        run_once()
        wall.append(round((time.perf_counter() - wall_start) * 1e3, 3))
        cpu.append(round((time.process_time() - cpu_start) * 1e3, 3))
    np.save(folder / f"{name}.npy", logits)
    print(json.dumps({"wall": wall, "cpu": cpu, "versions": versions}))


def measure(network: str, rounds: int, runs: int, folder: Path) -> dict[str, Any]:
    """Times in milliseconds, one list a round, and versions, by contender."""
    wall: Times = {name: [] for name in CONTENDERS}
    cpu: Times = {name: [] for name in CONTENDERS}
    versions: dict[str, str] = {"python": platform.python_version()}
    for index in range(rounds):
        order = list(CONTENDERS) if index % 2 == 0 else list(reversed(CONTENDERS))
        for name in order:
            command = [sys.executable, __file__, "--network", network, "--runs", str(runs), "--work", name, str(folder)]
            finished = subprocess.run(
                command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=False
            )
            if finished.returncode:
                raise SystemExit(finished.returncode)  # it has said why
            answer = json.loads(finished.stdout.splitlines()[-1])
            wall[name].append(answer["wall"])
            cpu[name].append(answer["cpu"])
            versions.update(answer["versions"])
    return {"wall_ms": wall, "cpu_ms": cpu, "versions": versions}


def agreement(folder: Path) -> dict[str, float]:
    """Largest difference of a logit from onnxruntime's, relative to its largest logit."""
    import numpy as np

    expected = np.load(folder / f"{BASELINE}.npy")
    return {
        name: float(np.abs(np.load(folder / f"{name}.npy") - expected).max() / np.abs(expected).max())
        for name in CONTENDERS
        if name != BASELINE
    }


def summary(wall: Times, cpu: Times) -> dict[str, dict[str, float]]:
    baseline = [median(times) for times in cpu[BASELINE]]
    rows = {}
    for name in CONTENDERS:
        medians = [median(times) for times in cpu[name]]
        ratios = [own / other for own, other in zip(medians, baseline, strict=True)]
        row = {
            "wall_ms": median(chain(*wall[name])),
            "cpu_ms": median(chain(*cpu[name])),
            "fastest_round_cpu_ms": min(medians),
            "slowest_round_cpu_ms": max(medians),
            "ratio": median(ratios),
            "smallest_ratio": min(ratios),
            "largest_ratio": max(ratios),
        }
        rows[name] = {figure: round(value, 3) for figure, value in row.items()}
    return rows


def show(network: str, rounds: int, runs: int, result: dict[str, Any]) -> None:
    print(f"{network}, batch 1, one thread, {rounds} rounds x {runs} runs, a process each, interleaved")
    print(", ".join(f"{name} {version}" for name, version in result["versions"].items()), "on", result["processor"])
    print(f"{'':66} wall clock   CPU time (rounds)          x onnxruntime (rounds)   off by")
    for name, row in result["summary"].items():
        off = f"{result['agreement'][name]:.1e}" if name in result["agreement"] else ""
        rounds_cpu = f"({row['fastest_round_cpu_ms']:.1f} to {row['slowest_round_cpu_ms']:.1f})"
        rounds_ratio = f"({row['smallest_ratio']:.2f} to {row['largest_ratio']:.2f})"
        print(
            f"{CONTENDERS[name]:66} {row['wall_ms']:7.1f} ms {row['cpu_ms']:7.1f} ms {rounds_cpu:16}"
            f" {row['ratio']:7.2f} {rounds_ratio:16} {off}"
        )


def processor() -> str:
    """Name of the CPU, where the system tells."""
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        for line in cpus.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="mobilenet_v2", help="a zoo network, all of them, or a .mnet file")
    parser.add_argument("--rounds", type=count, default=7)
    parser.add_argument("--runs", type=count, default=20, help="timed runs a process")
    parser.add_argument("--work", nargs=2, metavar=("CONTENDER", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the process that started this one says that it ends
        work(arguments.work[0], arguments.network, arguments.runs, Path(arguments.work[1]))
        return
    check_engines((BASELINE,))
    for network in networks(arguments.network):
        compare(network, arguments.rounds, arguments.runs)


def networks(name: str) -> list[str]:
    if name != "all":
        return [name]
    import mnetdsl

    return list(mnetdsl.zoo())


def compare(network: str, rounds: int, runs: int) -> None:
    """Measures, prints and keeps the figures of one network."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(network, folder)
        result = measure(network, rounds, runs, folder)
        result["agreement"] = agreement(folder)
    result["summary"] = summary(result["wall_ms"], result["cpu_ms"])
    result["processor"] = processor()
    show(network, rounds, runs, result)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"interpreter_{Path(network).stem}.json"
    path.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    print(f"raw times: {os.path.relpath(path)}")


if __name__ == "__main__":
    sys.exit(run_script(main))
