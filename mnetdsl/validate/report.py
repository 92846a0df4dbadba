"""What a validation found; data only, JSON first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from mnetdsl.diagnostics import Diagnostic, ExitCode, error
from mnetdsl.ir.location import Location
from mnetdsl.validate.compare import NOT_FINITE


@dataclass(frozen=True)
class Comparison:
    """One output or layer against the interpreter's, the largest difference over all inputs.

    `peak` is the reference's largest magnitude, in front of its activation too, `relative` is `absolute / peak`.
    `problem` says why nothing could be compared (a missing result, another shape, NaN); both errors are infinite then.
    `integers`: these are stored integers, of which `accepted` counts steps; of real numbers it is a relative error.
    """

    name: str
    operation: str
    location: Location
    shape: tuple[int, ...]
    peak: float
    absolute: float
    relative: float
    problem: str | None
    agrees: bool
    integers: bool = False
    accepted: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether the bits must be equal."""
        return self.accepted == 0

    def difference(self) -> str:
        """What is wrong, in words: steps of integers, errors of real numbers."""
        if self.problem is not None:
            return self.problem
        if self.integers:
            steps = "1 step" if self.absolute == 1 else f"{self.absolute:g} steps"
            return f"up to {steps} apart; " + (
                "stored integers must be equal" if self.exact else f"at most {self.accepted:g} is accepted"
            )
        return f"error {self.absolute:.2e}, {self.relative:.2e} of the largest magnitude {self.peak:.3g}; " + (
            "here the bits must be equal" if self.exact else f"at most {self.accepted:g} is accepted"
        )

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "operation": self.operation,
            "file": self.location.file,
            "line": self.location.line,
            "column": self.location.column,
            "shape": list(self.shape),
            "peak": self.peak,
            "absolute": _number(self.absolute),
            "relative": _number(self.relative),
            "problem": self.problem,
            "agrees": self.agrees,
            "exact": self.exact,
        }


@dataclass(frozen=True)
class Failure:
    """A backend that could not be built (`running` false) or that failed while it ran."""

    diagnostics: tuple[Diagnostic, ...]
    exit_code: ExitCode
    running: bool


@dataclass(frozen=True)
class BackendResult:
    """One backend: `outputs` in port order, `layers` in the order of execution as far as they can be observed.

    Outputs are compared with those of the network as it is written, layers with those of the optimized network,
    which is what backends run. In the result of `numpy` the optimized network runs on the interpreter: it shows what
    the optimization changed, and has no layers.
    """

    name: str
    outputs: tuple[Comparison, ...]
    layers: tuple[Comparison, ...]
    failure: Failure | None = None

    @property
    def agrees(self) -> bool:
        return self.failure is None and all(each.agrees for each in self.compared)

    @property
    def compared(self) -> tuple[Comparison, ...]:
        return (*self.layers, *self.outputs)

    @property
    def worst(self) -> Comparison | None:
        """The largest relative error; the first of several that are infinite."""
        return max(self.compared, key=lambda each: each.relative, default=None)

    @property
    def first_past(self) -> Comparison | None:
        """The first layer past the tolerance: where the fault is; those behind it inherit the error."""
        return next((each for each in self.compared if not each.agrees), None)

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "agrees": self.agrees,
            "worst": None if self.worst is None else self.worst.as_json(),
            "first_past": None if self.first_past is None else self.first_past.as_json(),
            "failure": None if self.failure is None else [_brief(each) for each in self.failure.diagnostics],
            "outputs": [each.as_json() for each in self.outputs],
            "layers": [each.as_json() for each in self.layers],
        }


@dataclass(frozen=True)
class ValidationReport:
    """All backends on the same `inputs` (their names), against `tolerance` (see `compare.TOLERANCE`)."""

    model: str
    tolerance: float
    inputs: tuple[str, ...]
    backends: tuple[BackendResult, ...]

    @property
    def agrees(self) -> bool:
        return all(backend.agrees for backend in self.backends)

    @property
    def exit_code(self) -> ExitCode:
        """A mismatch, or a failure while running, outweighs a backend that this machine cannot build."""
        failures = [backend.failure for backend in self.backends if backend.failure is not None]
        if any(f.running for f in failures) or any(not b.agrees and b.failure is None for b in self.backends):
            return ExitCode.MISMATCH
        return failures[0].exit_code if failures else ExitCode.OK

    def as_json(self) -> dict[str, object]:
        return {
            "model": self.model,
            "agrees": self.agrees,
            "tolerance": self.tolerance,
            "inputs": list(self.inputs),
            "backends": [backend.as_json() for backend in self.backends],
        }

    def diagnostics(self) -> Iterator[Diagnostic]:
        """One error for each backend that does not agree, in the words of the first layer past the tolerance."""
        for backend in self.backends:
            if backend.failure is not None:
                yield from backend.failure.diagnostics
            elif backend.first_past is not None:
                yield _mismatch(backend, backend.first_past)


def _mismatch(backend: BackendResult, first: Comparison) -> Diagnostic:
    what = f"`{first.name}` ({first.operation})"
    if first.problem == NOT_FINITE:
        return error(
            "MN1302",
            f"{what} gets values that are not finite on the interpreter: nothing can be compared behind it",
            location=str(first.location),
            help="look at the weights of this layer and of those before it",
        )
    notes: tuple[str, ...] = ()
    if backend.layers and first in backend.outputs:
        notes = ("every layer agrees where it is observed: the difference arises where layers are joined",)
    return error(
        "MN1301",
        f"`{backend.name}` differs from the interpreter, first in {what}: {first.difference()}",
        location=str(first.location),
        help="`mnet validate --format json` lists every layer",
        notes=notes,
    )


def _brief(diagnostic: Diagnostic) -> dict[str, object]:
    return {"code": diagnostic.code, "message": diagnostic.message, "location": diagnostic.location}


def _number(value: float) -> float | None:
    """JSON has no infinity."""
    return value if isfinite(value) else None
