"""An imported network against the file that it came from: every tensor that both have, on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, tanh

from mnetdsl.backends.runners import Runner, check_backend, make_runner
from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.interpreter import check_inputs, run
from mnetdsl.ir.core import Module, Op, Port, Value
from mnetdsl.ir.types import ElementType
from mnetdsl.passes.pipelines import optimize
from mnetdsl.quantize.apply import quantizable
from mnetdsl.validate.cases import Cases, make_cases
from mnetdsl.validate.compare import NOT_FINITE, TOLERANCE, Array, Difference
from mnetdsl.validate.judge import judge
from mnetdsl.validate.report import BackendResult, Comparison, Failure, ValidationReport
from mnetdsl.validate.scale import Sums
from mnetdsl.validate.tflite import Reference

EXTREMES = ("lowest", "highest", "noise")
"""Of the inputs that `validate` makes up, those that are used here: the reference kernels are slow."""


_EXACT_IN_FLOAT = frozenset(
    {"constant", "normalize", "dequantize", "reshape", "pad", "concat", "slice", "transpose", "max_pool"}
)
"""Operations on real numbers that every engine rounds alike, or that only move them."""


@dataclass(frozen=True)
class ReferenceReport(ValidationReport):
    """As `ValidationReport`, with TensorFlow Lite in place of the interpreter. `numpy` has layers of its own here."""

    reference: str = ""

    def diagnostics(self) -> Iterator[Diagnostic]:
        for backend in self.backends:
            if backend.failure is not None:
                yield from backend.failure.diagnostics
            elif backend.first_past is not None:
                yield _differs(backend, backend.first_past)


def _differs(backend: BackendResult, first: Comparison) -> Diagnostic:
    found = first.difference()
    if first.problem == NOT_FINITE:
        found = "TensorFlow Lite itself gets values that are not finite"
    return error(
        "MN1312",
        f"`{backend.name}` differs from TensorFlow Lite, first in `{first.name}` ({first.operation}): {found}",
        location=str(first.location),
        help="layers in front of it agree; `mnet validate --format json` lists every one",
    )


def validate_against(
    module: Module,
    reference: Reference,
    on: Sequence[str] = ("numpy",),
    *,
    seed: int = 0,
    inputs: Cases | None = None,
    tolerance: float | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> ReferenceReport:
    """Compares the backends `on` with the reference kernels, tensor by tensor.

    module: with weights, as `api.load` gives it. Quantized tensors must have the same bits; those of a float network
    may differ by `tolerance`, a fraction of a layer's largest magnitude (default: `compare.TOLERANCE`), and so may
    float layers of a quantized one; what is stored behind such a layer, or by a dense one, may differ by a step
    (`behind_float`, `steps_apart`). inputs: made up from `seed` where None. The interpreter shows every layer;
    backends show those that their optimized module has.
    Raises `MnetError` as `validate` does, and MN1313 where the reference fails.
    """
    for name in on:
        check_backend(name)
    accepted = 0.0 if module.quantized else TOLERANCE if tolerance is None else tolerance
    plain = module if module.quantized else quantizable(module)
    optimized = optimize(module)
    cases = inputs if inputs is not None else _extremes(make_cases(module.graph.inputs, seed))
    check_inputs(module, cases.arrays)
    subjects = [_Subject(name, plain if name == "numpy" else optimized, plain, reference) for name in on]
    for subject in subjects:
        progress(f"{subject.name}: building")
        subject.build()
    wanted = {reference.map.layers[name] for subject in subjects for name in subject.layers}
    for number, chunk in enumerate(cases.chunks(1)):
        count = f"input {number + 1} of {len(cases.names)}"
        progress(f"TensorFlow Lite: {count}")
        expected = reference.run(chunk, wanted | set(reference.map.outputs.values()))
        peaks = {} if module.quantized else _peaks(plain, chunk)
        for subject in subjects:
            progress(f"{subject.name}: {count}")
            subject.compare(chunk, expected, peaks)
    results = tuple(subject.result(accepted) for subject in subjects)
    return ReferenceReport(module.name, accepted, cases.names, results, reference.path)


def _extremes(cases: Cases) -> Cases:
    places = [place for place, name in enumerate(cases.names) if name in EXTREMES]
    arrays = {name: array[places] for name, array in cases.arrays.items()}
    return Cases(tuple(cases.names[place] for place in places), arrays)


def _peaks(module: Module, inputs: Mapping[str, Array]) -> dict[str, float]:
    sums = Sums(module, inputs)
    run(module, inputs, sums.observe)
    return sums.peaks


def behind_float(module: Module) -> frozenset[Value]:
    """Of a quantized module: what float arithmetic has a part in, so that the last bits are each engine's own.

    Dense layers are among it: on a host, the reference kernel brings their sums to results by a float factor since
    TensorFlow 2.20 (https://github.com/google-ai-edge/LiteRT/issues/8567), where that for microcontrollers, CMSIS-NN
    and we take two roundings of integers, as for convolutions. About one result in a thousand is then a step apart.
    """
    found: set[Value] = set()
    for op in module.graph.operations:
        in_float = op.type.element is ElementType.F32 and op.opcode not in _EXACT_IN_FLOAT
        own = in_float or (op.opcode == "dense" and op.type.element in (ElementType.I8, ElementType.U8))
        if own or not found.isdisjoint(op.operands):
            found.add(op.result)
    return frozenset(found)


def same_layer(op: Op, plain: Op) -> bool:
    """Whether an optimized layer still computes the tensor that it is called after."""
    if op.type.elements != plain.type.elements:  # the same numbers may have another shape
        return False
    if op.attributes.get("activation") != plain.attributes.get("activation"):
        return False
    return not any(d.name == "residual" and op.operand_group(d.name) for d in op.operand_defs)


@dataclass(eq=False)
class _Subject:
    """A backend, its layers that the file has too, and the differences found so far."""

    name: str
    module: Module
    plain: Module
    reference: Reference
    runner: Runner | None = None
    failure: Failure | None = None
    differences: dict[str, Difference] = field(default_factory=dict)
    layers: dict[str, Op] = field(default_factory=dict)

    def build(self) -> None:
        named = {op.name: op for op in self.plain.graph.operations if op.opcode != "constant"}
        outputs = {port.name for port in self.plain.graph.outputs}
        for op in self.module.graph.operations:
            mapped = op.name in self.reference.map.layers and op.name in named and op.name not in outputs
            if mapped and same_layer(op, named[op.name]):
                self.layers[op.name] = op
        try:
            self.runner = make_runner(self.name, self.module)
        except MnetError as problem:
            self.failure = Failure(problem.diagnostics, problem.exit_code, running=False)

    def compare(self, inputs: Mapping[str, Array], expected: Mapping[int, Array], peaks: Mapping[str, float]) -> None:
        if self.runner is None or self.failure is not None:
            return
        try:
            results = self.runner.run(inputs, observe=list(self.layers))
        except MnetError as problem:
            self.failure = Failure(problem.diagnostics, problem.exit_code, running=True)
            return
        described = self.reference.map
        for name in self.layers:
            if name in results:
                self._add(name, expected[described.layers[name]], results[name], peaks)
        for port in self.module.graph.outputs:
            if port.name in described.outputs:
                self._add(_output(port.name), expected[described.outputs[port.name]], results.get(port.name), peaks)

    def _add(self, name: str, expected: Array, result: Array | None, peaks: Mapping[str, float]) -> None:
        if result is not None and expected.size == result.size:
            expected = expected.reshape(result.shape)
            if expected.dtype.kind in "iu" and result.dtype.itemsize < expected.dtype.itemsize:
                # Indices are 64 bits wide in the file.
                expected = expected.astype(result.dtype)
        self.differences.setdefault(name, Difference()).add(expected, result, peaks.get(name, 0.0))

    def result(self, tolerance: float) -> BackendResult:
        loose = behind_float(self.module) if tolerance == 0 else frozenset()
        layers = tuple(
            _judged(op, self.differences[name], tolerance, loose)
            for name, op in self.layers.items()
            if name in self.differences
        )
        outputs = tuple(
            _judged(port, self.differences[_output(port.name)], tolerance, loose)
            for port in self.module.graph.outputs
            if _output(port.name) in self.differences
        )
        return BackendResult(self.name, outputs, layers, self.failure)


def _output(name: str) -> str:
    return f"output {name}"


def _judged(place: Op | Port, difference: Difference, tolerance: float, loose: frozenset[Value]) -> Comparison:
    """loose: values that need not have the same bits."""
    value = place.result if isinstance(place, Op) else place.value
    if value not in loose:
        return judge(place, difference, tolerance)
    return judge(place, difference, TOLERANCE, steps=steps_apart(value))


def steps_apart(value: Value) -> int:
    """How far stored numbers may be apart behind float arithmetic: a step, and a softmax as far as that brings it.

    Where each number of a softmax is a step s away, up or down, the logarithm of p / (1 - p) moves by 2 s at most,
    and p by tanh(s / 2), the most that the logistic function changes over such a distance.
    """
    quantization, producer = value.type.quantization, value.producer
    if quantization is None:
        return 0
    if producer is None or producer.opcode != "softmax":
        return 1
    source = producer.operand_group("input")[0].type.quantization
    assert source is not None  # those of stored numbers take and give them
    return 1 + ceil(tanh(source.scale[0] / 2) / quantization.scale[0])
