"""Networks on the processor at hand: our modules beside other engines, in one run.

Each round gives every engine a turn in a process of its own, in alternating order, so that a slow moment of the machine
meets all of them. A turn is the median of its runs; a ratio is the median over the rounds of (its turn / our turn). The
ratio of processor times is what counts for one thread where other programs run: the clock then measures them as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.targets import check_float_layers
from mnetdsl.bench import Request
from mnetdsl.bench.engines import ENGINES, OURS, PEAK, WRITERS
from mnetdsl.bench.float_module import behind_preprocessing
from mnetdsl.bench.host_report import HostReport, Measured
from mnetdsl.bench.int8_module import inputs_elsewhere, random_inputs
from mnetdsl.bench.machine import processor_name
from mnetdsl.cost.macs import RULES
from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.diagnostics.extras import EXTRAS
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.files import work_folder
from mnetdsl.interpreter import run as interpret
from mnetdsl.ir.core import Module

Array = NDArray[np.generic]

INT8 = "int8"
OWN_INPUT, OTHER_INPUT = "input", "stored"
"""What our modules take, and what files of other formats do."""
SECONDS = 0.25
"""Of measured runs a turn."""
PEAK_ROUNDS = 20_000
"""Of the register-only loop a workgroup: some milliseconds a run."""
PATIENCE = 600.0
"""Seconds after which an engine is taken for hanging."""
AGREEMENT = {"f32": 1e-3, "bf16": 0.1, INT8: 0.15}
"""Largest difference of outputs from the interpreter's, as a fraction of their largest magnitude, by precision; of
stored integers as a fraction of their range. Engines round stored integers each in its own way."""


def measure(request: Request) -> HostReport:
    """Our module and `request.against` with each of `request.threads`.

    Raises `MnetError`: MN2001 for a machine behind the colon, MN2002 and MN2003 for engines that do not exist or are
    not installed, MN1107 where the network or this processor has no such precision, MN2004 where an engine fails,
    MN2005 where one computes something else.
    """
    if request.machine:
        raise MnetError(
            error("MN2001", f"`iree-cpu:{request.machine}` is another machine than this", help="write `--on iree-cpu`"),
            exit_code=ExitCode.USAGE,
        )
    names = (OURS, *(name for name in request.against if name != OURS))
    check_engines(names)
    quantized = request.module.quantized
    check_float_layers(request.module, request.precision)
    if quantized:
        request = replace(request, precision=INT8)
    check_precision(names, request.precision)
    module = request.module if quantized else behind_preprocessing(request.module)
    inputs = random_inputs(module)
    named = dict(zip((port.name for port in module.graph.inputs), inputs, strict=True))
    reference = interpret(module, named)
    with work_folder("bench") as name:
        folder = Path(name)
        request.progress("preparing files")
        peak_macs = prepare(
            module, request.written or module, names, inputs, folder, request.precision, request.threads
        )
        turns = _take_turns(request, names, len(inputs), folder)
        differences = {engine: _difference(folder, engine, list(reference.values())) for engine in names}
    _check_agreement(differences, AGREEMENT[request.precision])
    measured = []
    for threads in request.threads:
        for engine in names:
            mine = turns[engine, threads]
            measured.append(
                Measured(
                    engine,
                    threads,
                    request.precision,
                    tuple(median(turn.ms) for turn in mine),
                    tuple(turn.cpu_ms for turn in mine),
                    differences[engine],
                    mine[0].version,
                )
            )
    peak = {
        threads: peak_macs / (min(median(turn.ms) for turn in turns[PEAK, threads]) * 1e-3)
        for threads in request.threads
        if peak_macs
    }
    macs = sum(RULES[op.opcode](op) for op in module.graph.operations)
    return HostReport(module.name, processor_name(), macs, OURS, tuple(measured), peak)


def check_engines(names: Sequence[str]) -> None:
    """Raises `MnetError`: MN2002 for a name that is no engine, MN2003 naming all packages that are missing."""
    for name in names:
        if name not in ENGINES or name == PEAK:
            known = [known for known in ENGINES if known not in (OURS, PEAK)]
            suggestion = did_you_mean(name, known)
            raise MnetError(
                error(
                    "MN2002",
                    f"there is no engine `{name}`",
                    help=(f"did you mean `{suggestion}`? " if suggestion else "") + f"engines: {', '.join(known)}",
                ),
                exit_code=ExitCode.USAGE,
            )
    wanted = {package for name in names for package in (ENGINES[name].package, *WRITERS.get(ENGINES[name].file, ()))}
    missing = sorted(package for package in wanted if not _installed(package))
    if missing:
        all_engines = " ".join(EXTRAS["bench"])
        raise MnetError(
            error(
                "MN2003",
                f"not installed: {', '.join(missing)}",
                help=(
                    f"install them: `pip install {' '.join(missing)}`",
                    f"or all engines: `pip install {all_engines}`",
                ),
            )
        )


def check_precision(names: Sequence[str], precision: str) -> None:
    """Raises `MnetError`: MN1107 where this processor has no such precision, MN2006 for engines that have not."""
    if precision in ("f32", INT8):
        return
    from mnetdsl.backends.targets import check_precision as check_target_precision

    check_target_precision("iree-cpu", precision)
    without = [name for name in names if not ENGINES[name].bfloat]
    if without:
        others = ", ".join(name for name, engine in ENGINES.items() if engine.bfloat and name != OURS)
        raise MnetError(
            error(
                "MN2006",
                f"{' and '.join(without)} {'computes' if len(without) == 1 else 'compute'} in float32 alone",
                help=f"engines with {precision}: {others}",
            ),
            exit_code=ExitCode.USAGE,
        )


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def prepare(
    module: Module,
    written: Module,
    names: Sequence[str],
    inputs: Sequence[Array],
    folder: Path,
    precision: str,
    threads: Sequence[int],
) -> int:
    """Writes the inputs and what each engine reads, of a quantized network from `written`; returns the multiply-adds of
    a run of the peak, that of the precision, 0 where nothing multiplies it."""
    from mnetdsl.backends.iree.compiler import compile_mlir
    from mnetdsl.backends.iree.emission import emit
    from mnetdsl.backends.iree.kernels.machine import bfloat_of, isa_of
    from mnetdsl.backends.iree.kernels.peak import operand, peak_of, peak_text
    from mnetdsl.backends.iree.targets import TARGETS

    target = TARGETS["iree-cpu"]
    isa = isa_of(target)
    files = {ENGINES[name].file for name in names}
    elsewhere = inputs
    if precision == INT8 and files & set(WRITERS):
        elsewhere = inputs_elsewhere(written, dict(zip((p.name for p in written.graph.inputs), inputs, strict=True)))
    for prefix, arrays in ((OWN_INPUT, inputs), (OTHER_INPUT, elsewhere)):
        for index, array in enumerate(arrays):
            np.save(folder / f"{prefix}_{index}.npy", array)
    if "network.onnx" in files:
        from mnetdsl.exporters.onnx import to_onnx, write_onnx

        onnx = write_onnx(written) if precision == INT8 else to_onnx(module, channels_first=True)
        (folder / "network.onnx").write_bytes(onnx)
    if "network.tflite" in files:
        from mnetdsl.exporters.tflite import to_tflite, write_tflite

        tflite = write_tflite(written).data if precision == INT8 else to_tflite(module)
        (folder / "network.tflite").write_bytes(tflite)
    bfloat = bfloat_of(target) if precision == "bf16" else None
    for count in threads:
        own = emit(module, isa=isa, bfloat=bfloat, threads=count).text
        (folder / ENGINES[OURS].file.format(threads=count)).write_bytes(compile_mlir(own, module.name, target))
    if "linalg.vmfb" in files:
        (folder / "linalg.vmfb").write_bytes(compile_mlir(emit(module).text, module.name, target))
    kernel = None if isa is None else peak_of(isa, bfloat, stored=precision == INT8, rounds=PEAK_ROUNDS)
    if kernel is None:
        return 0
    (folder / ENGINES[PEAK].file).write_bytes(compile_mlir(peak_text(kernel), "peak", target))
    np.save(folder / "peak.npy", operand(kernel))
    return kernel.macs


@dataclass(frozen=True)
class Turn:
    """What one process measured: each run by the clock, the mean of their processor times, the engine's version."""

    ms: tuple[float, ...]
    cpu_ms: float
    version: str


def _take_turns(request: Request, names: Sequence[str], inputs: int, folder: Path) -> dict[tuple[str, int], list[Turn]]:
    contenders = [(name, threads) for threads in request.threads for name in names]
    if (folder / ENGINES[PEAK].file).exists():
        contenders += [(PEAK, threads) for threads in request.threads]
    turns: dict[tuple[str, int], list[Turn]] = {contender: [] for contender in contenders}
    for index in range(request.rounds):
        for name, threads in contenders if index % 2 == 0 else contenders[::-1]:
            request.progress(f"round {index + 1} of {request.rounds}, {name}, {threads} threads")
            prefix = OTHER_INPUT if ENGINES[name].file in WRITERS else OWN_INPUT
            asked = {
                "engine": name,
                "file": ENGINES[name].file.format(threads=threads),
                "inputs": ["peak.npy"] if name == PEAK else [f"{prefix}_{place}.npy" for place in range(inputs)],
                "threads": threads,
                "precision": request.precision,
                "seconds": SECONDS,
                "outputs": "." if index == 0 and name != PEAK else None,
            }
            turns[name, threads].append(_turn(asked, folder))
    return turns


def _turn(asked: Mapping[str, object], folder: Path) -> Turn:
    package = Path(__file__).resolve().parents[2]
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-P", "-m", "mnetdsl.bench.worker", json.dumps(asked)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise _failure(asked, f"did not end within {PATIENCE:.0f} seconds", "") from None
    if done.returncode != 0:
        raise _failure(asked, f"ended with status {done.returncode}", done.stderr)
    answer = json.loads(done.stdout.splitlines()[-1])
    return Turn(tuple(answer["ms"]), answer["cpu_ms"], answer["version"])


def _failure(asked: Mapping[str, object], what: str, said: str) -> MnetError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return MnetError(
        error(
            "MN2004",
            f"`{asked['engine']}` on {asked['threads']} threads {what}",
            help="measure without it, or with another version of its package",
            notes=tuple(line[:300] for line in lines[-2:]),
        )
    )


def _difference(folder: Path, engine: str, reference: Sequence[Array]) -> float:
    """The largest difference of any output, as a fraction of its largest magnitude, or of its type's range."""
    differences = []
    for index, expected in enumerate(reference):
        got = np.load(folder / f"{engine}_{index}.npy")
        if {got.dtype, expected.dtype} == {np.dtype(np.int8), np.dtype(np.uint8)}:
            got = got.view(expected.dtype)  # signed and unsigned bytes are one type to IREE
        real = expected.dtype.kind == "f"
        scale = max(float(np.abs(expected).max()), 1e-30) if real else float(2 ** (8 * expected.dtype.itemsize) - 1)
        same = got.shape == expected.shape
        difference = np.abs(got.astype(np.float64) - expected.astype(np.float64)).max() if same else np.inf
        differences.append(float(difference) / scale)
    return max(differences)


def _check_agreement(differences: Mapping[str, float], most: float) -> None:
    wrong = {engine: difference for engine, difference in differences.items() if not difference <= most}
    if wrong:
        listing = ", ".join(f"{engine} by {difference:.1e}" for engine, difference in wrong.items())
        raise MnetError(
            error(
                "MN2005",
                f"outputs differ from the interpreter's: {listing} of their largest magnitude",
                help="measure without these engines; if one of them is ours, that is a defect: report it",
            )
        )
