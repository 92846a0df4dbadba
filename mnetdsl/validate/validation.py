"""Runs the network on interpreter and backends and compares, output by output and layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.runners import Runner, check_backend, make_runner
from mnetdsl.diagnostics import MnetError
from mnetdsl.interpreter import check_inputs, run
from mnetdsl.ir.core import Module, Op
from mnetdsl.passes.pipelines import optimize
from mnetdsl.validate.cases import Cases, make_cases
from mnetdsl.validate.compare import TOLERANCE, Difference
from mnetdsl.validate.judge import judge
from mnetdsl.validate.report import BackendResult, Failure, ValidationReport
from mnetdsl.validate.scale import Sums

Array = NDArray[np.generic]
Arrays = Mapping[str, Array]

CHUNK = 8
"""Inputs at a time: all layers of as many are in memory at once, twice."""


def validate(
    module: Module,
    on: Sequence[str] = ("c", "iree-cpu"),
    *,
    seed: int = 0,
    inputs: Cases | Arrays | None = None,
    tolerance: float = TOLERANCE,
    progress: Callable[[str], None] = lambda message: None,
) -> ValidationReport:
    """Compares the backends `on` (keys of `runners.RUNNERS`) with the interpreter on the same inputs.

    module: as written, with weights. inputs: `[N, …]` by port name; those of `cases.make_cases` where None, made
    from `seed`. tolerance: largest error of floats as a fraction of a layer's largest magnitude; stored integers
    must be equal. progress: told what happens.

    Outputs are compared with those of `module` as written, layers with the optimized module's, which is what backends
    run. A backend that cannot be built or fails is part of the report. Raises `MnetError` for an unknown backend
    (MN1102), inputs that do not fit (MN0620, MN0621) and missing weights (MN0720).
    """
    names = [name for name in dict.fromkeys(on) if name != "numpy"]
    for name in names:
        check_backend(name)
    cases = _cases(module, inputs, seed)
    optimized = optimize(module)
    outputs = {port.name for port in module.graph.outputs}
    layers = {
        op.name: op
        for op in optimized.graph.operations
        if op.opcode != "constant" and op.name and op.name not in outputs
    }
    reference = _Subject("numpy", optimized)
    subjects = [_Subject(name, optimized) for name in names]
    for subject in subjects:
        progress(f"{subject.name}: building")
        subject.build()
    for number, chunk in enumerate(cases.chunks(CHUNK)):
        done = number * CHUNK
        count = f"{done + 1} to {min(done + CHUNK, len(cases.names))} of {len(cases.names)} inputs"
        progress(f"numpy: {count}")
        expected = run(module, chunk)
        observed: dict[str, Array] = {}

        sums = Sums(optimized, chunk)

        def keep(op: Op, result: Array, observed: dict[str, Array] = observed, sums: Sums = sums) -> None:
            sums.observe(op, result)
            if op.name in layers:
                observed[op.name] = result

        reference.compare_outputs(expected, run(optimized, chunk, keep))
        for subject in subjects:
            progress(f"{subject.name}: {count}")
            subject.compare(chunk, expected, observed, sums.peaks)
    results = tuple(subject.result(module, layers, tolerance) for subject in (reference, *subjects))
    return ValidationReport(module.name, tolerance, cases.names, results)


def _cases(module: Module, inputs: Cases | Arrays | None, seed: int) -> Cases:
    if inputs is None:
        return make_cases(module.graph.inputs, seed)
    if isinstance(inputs, Cases):
        check_inputs(module, inputs.arrays)
        return inputs
    count = check_inputs(module, inputs)
    return Cases(tuple(f"input {index + 1}" for index in range(count)), inputs)


@dataclass(eq=False)
class _Subject:
    """A backend under validation, and the differences found so far."""

    name: str
    module: Module
    runner: Runner | None = None
    failure: Failure | None = None
    outputs: dict[str, Difference] = field(default_factory=dict)
    layers: dict[str, Difference] = field(default_factory=dict)

    def build(self) -> None:
        try:
            self.runner = make_runner(self.name, self.module)
        except MnetError as problem:
            self.failure = Failure(problem.diagnostics, problem.exit_code, running=False)

    def compare(self, inputs: Arrays, expected: Arrays, observed: Arrays, peaks: Mapping[str, float]) -> None:
        """Runs the chunk twice: as users get it for the outputs, observed for the layers."""
        if self.runner is None or self.failure is not None:
            return
        try:
            self.compare_outputs(expected, self.runner.run(inputs))
            results = self.runner.run(inputs, observe=list(observed))
        except MnetError as problem:
            self.failure = Failure(problem.diagnostics, problem.exit_code, running=True)
            return
        for name, reference in observed.items():
            if name in results:
                self.layers.setdefault(name, Difference()).add(reference, results[name], peaks.get(name, 0.0))

    def compare_outputs(self, expected: Arrays, results: Arrays) -> None:
        for name, reference in expected.items():
            self.outputs.setdefault(name, Difference()).add(reference, results.get(name))

    def result(self, module: Module, layers: Mapping[str, Op], tolerance: float) -> BackendResult:
        outputs = tuple(
            judge(port, self.outputs[port.name], tolerance)
            for port in module.graph.outputs
            if port.name in self.outputs
        )
        observed = tuple(judge(op, self.layers[name], tolerance) for name, op in layers.items() if name in self.layers)
        return BackendResult(self.name, outputs, observed, self.failure)
