"""A validation agrees where backends are right, and names the layer where one is wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl.backends import runners
from mnetdsl.backends.numpy_runner import NumpyRunner
from mnetdsl.backends.runners import Runner
from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.ir.core import Module
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.validate import TOLERANCE, ValidationReport, validate
from mnetdsl.validate.cases import Cases
from mnetdsl.validate.report import BackendResult
from tests.graphs import GraphMaker
from tests.validate.broken import BrokenRunner, CrashingRunner, Fault, lost, off_by, one_nan, transposed
from tests.validate.networks import FILTER_LINE, PROJECT_LINE, network

LAYERS = ["image", "stem", "filter", "project", "global_avg_pool", "classifier"]
Arrays = Mapping[str, NDArray[np.generic]]
Register = Callable[[Callable[[Module], Runner]], None]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Puts a maker of runners into the table under the name `broken`."""
    return lambda make: monkeypatch.setitem(runners.RUNNERS, "broken", make)


def broken_result(report: ValidationReport) -> BackendResult:
    return next(backend for backend in report.backends if backend.name == "broken")


def with_fault(register: Register, layer: str, fault: Fault, **options: Any) -> tuple[ValidationReport, BackendResult]:
    register(lambda module: BrokenRunner(module, layer, fault, **options))
    report = validate(network(), ["broken"])
    return report, broken_result(report)


def test_the_interpreter_agrees_with_itself_and_with_the_optimized_network() -> None:
    report = validate(network(), [])
    (reference,) = report.backends
    assert report.agrees
    assert report.exit_code is ExitCode.OK
    assert reference.name == "numpy"
    assert [each.name for each in reference.outputs] == ["logits", "map"]


def test_every_layer_of_a_right_backend_is_compared(register: Register) -> None:
    register(NumpyRunner)
    result = broken_result(validate(network(), ["broken"]))
    assert result.agrees
    assert [each.name for each in result.layers] == LAYERS
    assert all(each.absolute == 0.0 and each.peak > 0.0 for each in result.compared)
    assert {each.location.line for each in result.layers if each.name == "filter"} == {FILTER_LINE}


def test_a_layer_off_by_a_hundredth_is_the_first_past_the_tolerance(register: Register) -> None:
    report, result = with_fault(register, "filter", off_by(1e-2))
    assert report.exit_code is ExitCode.MISMATCH
    assert result.first_past is not None
    assert result.first_past.name == "filter"
    assert result.first_past.location.line == FILTER_LINE
    assert 2e-3 < result.first_past.relative < 2e-2
    assert result.first_past.absolute == pytest.approx(result.first_past.relative * result.first_past.peak)
    assert [each.agrees for each in result.layers[:2]] == [True, True]


def test_what_rounding_does_is_accepted(register: Register) -> None:
    report, result = with_fault(register, "filter", off_by(TOLERANCE / 4))
    assert report.agrees
    assert result.worst is not None
    assert result.worst.relative > TOLERANCE / 100


def test_a_smaller_tolerance_can_be_asked_for(register: Register) -> None:
    register(lambda module: BrokenRunner(module, "filter", off_by(1e-5)))
    assert validate(network(), ["broken"]).agrees
    assert not validate(network(), ["broken"], tolerance=1e-6).agrees


@pytest.mark.parametrize(
    ("fault", "words"),
    [(one_nan, "NaN"), (transposed, "shape"), (lambda result: result.astype(np.float64), "float64")],
)
def test_nan_and_wrong_shapes_are_mismatches(register: Register, fault: Fault, words: str) -> None:
    report, result = with_fault(register, "project", fault)
    assert report.exit_code is ExitCode.MISMATCH
    assert result.first_past is not None
    assert result.first_past.name == "project"
    assert result.first_past.location.line == PROJECT_LINE
    assert result.first_past.problem is not None
    assert words in result.first_past.problem


def test_a_layer_that_cannot_be_observed_is_left_out(register: Register) -> None:
    report, result = with_fault(register, "filter", lost)
    assert report.agrees
    assert [each.name for each in result.layers] == [name for name in LAYERS if name != "filter"]


def test_an_output_that_is_missing_is_a_mismatch(register: Register) -> None:
    class Forgetful(NumpyRunner):
        def run(self, inputs: Arrays, observe: Collection[str] = ()) -> dict[str, NDArray[np.generic]]:
            results = super().run(inputs, observe)
            del results["map"]
            return results

    register(Forgetful)
    result = broken_result(validate(network(), ["broken"]))
    assert result.first_past is not None
    assert (result.first_past.name, result.first_past.problem) == ("map", "no result")


def test_a_fault_that_hides_when_layers_are_observed_shows_in_the_outputs(register: Register) -> None:
    report, result = with_fault(register, "project", off_by(0.5), fused=True)
    assert report.exit_code is ExitCode.MISMATCH
    assert all(layer.agrees for layer in result.layers)
    assert result.first_past is not None
    assert result.first_past.operation == "output"
    (diagnostic,) = report.diagnostics()
    assert "where layers are joined" in diagnostic.notes[0]


@pytest.mark.parametrize("healthy", [0, 1])
def test_a_crash_while_running_fails_the_validation(register: Register, healthy: int) -> None:
    register(lambda module: CrashingRunner(module, healthy))
    report = validate(network(), ["broken"])
    result = broken_result(report)
    assert not report.agrees
    assert report.exit_code is ExitCode.MISMATCH
    assert result.failure is not None
    assert result.failure.running
    assert [diagnostic.code for diagnostic in report.diagnostics()] == ["MN1227"]


def test_a_backend_that_cannot_be_built_leaves_the_others_running(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(module: Module) -> Runner:
        raise MnetError(error("MN1226", "Vulkan finds no device"))

    register(missing)
    monkeypatch.setitem(runners.RUNNERS, "right", NumpyRunner)
    report = validate(network(), ["broken", "right"])
    assert [backend.agrees for backend in report.backends] == [True, False, True]
    assert report.exit_code is ExitCode.USER_ERROR
    assert [diagnostic.code for diagnostic in report.diagnostics()] == ["MN1226"]


def test_weights_that_overflow_are_told_from_backends_that_differ(register: Register) -> None:
    register(NumpyRunner)
    module = network()
    module.resources["filter.weight"] = np.full_like(module.resources["filter.weight"], np.inf)
    report = validate(module, ["broken"])
    assert report.exit_code is ExitCode.MISMATCH
    codes = {diagnostic.code for diagnostic in report.diagnostics()}
    assert codes == {"MN1302"}
    result = broken_result(report)
    assert result.first_past is not None
    assert result.first_past.name == "filter"


def test_inputs_of_the_user_are_run_in_pieces_and_all_compared(register: Register) -> None:
    runs: list[BrokenRunner] = []

    def make(module: Module) -> Runner:
        runs.append(BrokenRunner(module, "stem", lambda result: result))
        return runs[-1]

    register(make)
    images = np.random.default_rng(1).integers(0, 256, (11, 12, 12, 3), np.uint8)
    report = validate(network(), ["broken"], inputs={"image": images})
    assert report.inputs == tuple(f"input {index}" for index in range(1, 12))
    assert report.agrees
    assert [bool(observe) for observe in runs[0].calls] == [False, True, False, True]


def test_a_fault_on_one_input_of_many_is_found(register: Register) -> None:
    class LastOnly(NumpyRunner):
        def run(self, inputs: Arrays, observe: Collection[str] = ()) -> dict[str, NDArray[np.generic]]:
            results = super().run(inputs, observe)
            if inputs["image"][-1].max() == 255:
                results["logits"] = results["logits"].astype(np.float32) * np.float32(1.01)
            return results

    register(LastOnly)
    images = np.zeros((10, 12, 12, 3), np.uint8)
    images[9] = 255
    report = validate(network(), ["broken"], inputs=Cases(tuple("abcdefghij"), {"image": images}))
    assert [each.agrees for each in broken_result(report).outputs] == [False, True]


def test_inputs_that_do_not_fit_are_refused_before_anything_is_built() -> None:
    with pytest.raises(MnetError, match="MN0621"):
        validate(network(), ["iree-vulkan"], inputs={"image": np.zeros((1, 3, 3, 3), np.uint8)})


def test_an_unknown_backend_is_refused_before_anything_runs() -> None:
    with pytest.raises(MnetError, match="MN1102") as refused:
        validate(network(), ["iree_cpu"])
    assert "iree-cpu" in refused.value.diagnostics[0].help[0]


def test_a_target_that_nothing_here_runs_is_told_from_an_unknown_name() -> None:
    with pytest.raises(MnetError, match="MN1102") as refused:
        validate(network(), ["iree-cpu:riscv64"])
    (message,) = refused.value.diagnostics
    assert "for the target `iree-cpu:riscv64`" in message.message
    assert "mnet compile --target iree-cpu:riscv64" in message.help[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("host-c", "c"),
        ("stm32f407", "qemu:cortex-m4"),
        ("qemu:stm32f407", "qemu:cortex-m4"),
        ("qemu:m4", "qemu:cortex-m4"),
        ("qemu:rp2350:rows", "qemu:cortex-m33:rows"),
    ],
)
def test_the_name_of_a_target_leads_to_the_backend_that_runs_it(written: str, meant: str) -> None:
    with pytest.raises(MnetError, match="MN1102") as refused:
        validate(network(), [written])
    assert refused.value.diagnostics[0].help[0] == f"did you mean `{meant}`?"


def test_a_core_that_is_not_emulated_is_not_taken_for_another() -> None:
    with pytest.raises(MnetError, match="MN1102") as refused:
        validate(network(), ["qemu:cortex-m0plus"])
    assert "mnet compile --target cortex-m0plus" in refused.value.diagnostics[0].help[0]


def test_missing_weights_are_refused() -> None:
    module = network()
    del module.resources["stem.weight"]
    with pytest.raises(MnetError, match="MN0720"):
        validate(module, [])


def test_progress_names_what_is_under_way(register: Register) -> None:
    register(NumpyRunner)
    told: list[str] = []
    validate(network(), ["broken"], progress=told.append)
    assert told == ["broken: building", "numpy: 1 to 6 of 6 inputs", "broken: 1 to 6 of 6 inputs"]


def test_stored_integers_must_be_equal_whatever_the_tolerance(register: Register) -> None:
    maker = GraphMaker("net", 0)
    port = maker.builder.input("image", TensorType((1, 4, 4, 3), ElementType.U8))
    flat = maker.builder.add(OPERATIONS["reshape"], Location("flat"), operands={"input": port.value}, shape=(48,))
    maker.builder.output("pixels", flat.result)

    class OffByOne(NumpyRunner):
        def run(self, inputs: Arrays, observe: Collection[str] = ()) -> dict[str, NDArray[np.generic]]:
            return {name: array.astype(np.uint8) ^ 1 for name, array in super().run(inputs, observe).items()}

    register(OffByOne)
    report = validate(maker.module, ["broken"], tolerance=0.5)
    assert report.exit_code is ExitCode.MISMATCH
    assert "stored integers must be equal" in next(iter(report.diagnostics())).message
