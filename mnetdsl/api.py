"""The Python API: everything the commands can do, for notebooks and build systems.

import mnetdsl

network = mnetdsl.load("mobilenet_v2", alpha=0.5).with_weights("random:1")
logits = network.run({"image": image})["logits"]
network.compile("host-c", "build/out")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnetdsl import resources, sema
from mnetdsl.diagnostics import Diagnostic, ExitCode, MnetError, Severity, error
from mnetdsl.ir.core import Module
from mnetdsl.sema import Instance, build
from mnetdsl.sema.values import Value, from_python, literal, with_article
from mnetdsl.source import SourceFile
from mnetdsl.syntax.reader import is_file, is_folder, read_source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnetdsl.backends.c import SelfTest
    from mnetdsl.backends.c.budget import Budget
    from mnetdsl.backends.c.trade import Chosen
    from mnetdsl.backends.firmware import Forecast
    from mnetdsl.cost.summary import Summary
    from mnetdsl.passes.context import Remark
    from mnetdsl.plan import Memory, Plan
    from mnetdsl.plan.rows import Bands
    from mnetdsl.quantize.calibration import Calibration
    from mnetdsl.quantize.network import QuantizedNetwork
    from mnetdsl.quantize.pictures import Pictures
    from mnetdsl.quantize.quantizer import Settings as QuantizationSettings
    from mnetdsl.targets import Core
    from mnetdsl.validate.cases import Cases
    from mnetdsl.validate.report import ValidationReport


def zoo() -> dict[str, Path]:
    """Networks that ship with the compiler, by name."""
    return {path.stem: path for path in sorted(resources.zoo_folder().glob("*.mnet"))}


def find(name: str | Path) -> Path:
    """The file behind a path, a folder with one `.mnet`, or the name of a zoo network."""
    path = Path(name)
    if not is_file(path) and not is_folder(path) and str(name) in (networks := zoo()):
        return networks[str(name)]
    return path


def _read(name: str | Path) -> tuple[Path, SourceFile]:
    """The file behind `name` and its text; messages show a network of the zoo as `zoo/NAME.mnet`."""
    path = find(name)
    source = read_source(path)
    if zoo().get(str(name)) == path:
        return path, SourceFile(f"zoo/{path.name}", source.text)
    return Path(source.path), source


def load(name: str | Path, /, *, model: str | None = None, **parameters: Value) -> Network:
    """Reads, checks and expands a network.

    `name` is a path, a folder that holds one `.mnet`, or a zoo network such as `mobilenet_v2`; `model` chooses a
    model or deployment where the file has several; `parameters` set those of the model. Weights named by a
    deployment are loaded by `with_weights()`. Raises `MnetError` with all that is wrong in the file.
    """
    path, source = _read(name)
    return _network(path, build(source, model, _values(parameters)))


def _values(parameters: Mapping[str, object]) -> dict[str, Value]:
    """Raises `MnetError` MN0301 for each that is no value of the language."""
    found = {name: from_python(value) for name, value in parameters.items()}
    problems = [
        error(
            "MN0301",
            f"`{name}` cannot be set to {with_article(type(parameters[name]).__name__)}",
            help="values are numbers, True and False, strings, and lists of these",
        )
        for name, value in found.items()
        if value is None
    ]
    if problems:
        raise MnetError(*problems)
    return {name: value for name, value in found.items() if value is not None}


def _network(path: Path, instance: Instance) -> Network:
    """The network of an instance; where its deployment has a table of quantized tensors, the quantized one."""
    from mnetdsl.passes.derive import materialize

    deployment = instance.deployment
    if deployment is None or deployment.quantization is None:
        materialize(instance.module)  # numbers that the text states need no weight file
        return Network(path, instance)
    from mnetdsl.quantize.apply import apply_quantization

    module = apply_quantization(instance.module, deployment.quantization, str(path))
    return Network(path, replace(instance, module=module))


def _check_quantized(network: Network) -> None:
    """Raises MN1814 for a deployment that asks for integers and has none yet: its files would be float32."""
    deployment = network.instance.deployment
    if deployment is None or not deployment.to_be_quantized:
        return
    images = "" if "calibrate" in deployment.sections["quantize"].settings else " --calibrate photos"
    raise MnetError(
        error(
            "MN1814",
            f"`{deployment.name}` is to be int8, and is not quantized yet",
            location=str(network.path),
            help=(
                f"`mnet quantize {network.path} --model {deployment.name}{images} -o build/{deployment.name}`, "
                f"then take build/{deployment.name}",
                f"for float32 name the model in its place: `--model {deployment.model.model.name.text}`",
            ),
        )
    )


def check(name: str | Path, /, **parameters: Value) -> tuple[Diagnostic, ...]:
    """All that is wrong in a file, with every model and deployment in it expanded; `name` as in `load`.

    Where nothing else is wrong, deployments are held to the flash and RAM of their target.
    """
    path, source = _read(name)
    values = _values(parameters)
    problems = sema.check(source, values)
    if any(problem.severity is Severity.ERROR for problem in problems):
        return problems
    try:
        networks = [_network(path, build(source, name, values)) for name in sema.deployments(source)]
    except MnetError as problem:
        return tuple(problem.diagnostics)
    return (*problems, *(problem for network in networks for problem in network.over_budget()))


@dataclass(frozen=True)
class Network:
    """A checked network with all parameters fixed. Its methods never change it."""

    path: Path
    instance: Instance

    @property
    def name(self) -> str:
        return self.instance.module.name

    @property
    def module(self) -> Module:
        """The IR as written: batch normalization unfolded, weights in `resources` once loaded."""
        return self.instance.module

    @property
    def weights_path(self) -> Path | None:
        """Weights that the deployment names, relative to the `.mnet` file."""
        deployment = self.instance.deployment
        if deployment is None or deployment.weights is None:
            return None
        return self.path.parent / deployment.weights

    def with_weights(self, weights: str | Path | None = None) -> Network:
        """The network with weights from a `.safetensors` or `.npz` file, or `random:SEED`.

        None takes those that the deployment names. Raises `MnetError` listing missing, surplus and misshapen tensors.
        """
        from mnetdsl.passes.derive import materialize
        from mnetdsl.weights import load_weights

        chosen = weights if weights is not None else self.weights_path
        if chosen is None:
            return self
        arrays = load_weights(self.module, str(chosen))
        module = Module(self.module.name, self.module.graph, arrays, dict(self.module.derived))
        materialize(module)
        return replace(self, instance=replace(self.instance, module=module))

    def optimized(self) -> Module:
        """The module as backends take it: batch norm and pads folded, activations and residuals fused."""
        from mnetdsl.passes.pipelines import optimize

        return optimize(self.module)

    def without_constant_channels(self, remark: Callable[[Remark], None] = lambda remark: None) -> Network:
        """The optimized network without the int8 channels that hold one number for every input; outputs stay.

        Needs weights: which channels those are follows from their numbers. `remark` is told what each layer lost.
        Layers keep multiples of four channels, where they have as many: what kernels take at a time.
        """
        from mnetdsl.ir.clone import clone
        from mnetdsl.ir.verifier import Stage
        from mnetdsl.passes.context import Context
        from mnetdsl.passes.pass_manager import run_passes
        from mnetdsl.passes.pipelines import CONSTANT_CHANNELS

        module, context = clone(self.module), Context()
        run_passes(module, CONSTANT_CHANNELS, context, stage=Stage.FOLDED)
        for item in context.remarks:
            if item.pass_name == "fold-constant-channels":
                remark(item)
        return replace(self, instance=replace(self.instance, module=module))

    def summary(self) -> Summary:
        """Shapes, parameters and multiply-accumulates per layer and in total; needs no weights."""
        from mnetdsl.cost.summary import summarize

        return summarize(self.module)

    def plan(
        self,
        target: str | None = None,
        *,
        rows: bool = False,
        bands: Bands | None = None,
        memories: Sequence[Memory] | None = None,
    ) -> Plan:
        """Memory as generated C uses it: exact arena, lower bound, what meets at the peak; needs no weights.

        `target` is what the C is for, whose kernels may need memory of their own; None: any machine. `memories` are
        what RAM there is, the fastest first (default: the target's); there are several arenas where none holds all.
        `rows`: of C that takes its image row by row, in `bands`. Raises `MnetError` where an operation has no C kernel,
        and MN1115 where the network takes no rows.
        """
        from mnetdsl.backends.c import plan_memory, plan_rows

        found = self.budget_on(target).memories if memories is None else memories
        if rows:
            return plan_rows(self.optimized(), _core(target), found, bands)
        return plan_memory(self.optimized(), core=_core(target), memories=found)

    def forecast(self, target: str, *, rows: bool = False, instructions: int | None = None) -> Forecast:
        """What the network costs on a core or board: instructions predicted by layer, flash and RAM to the byte.

        `rows` and `instructions` as `compile` takes them. Needs weights. Raises `MnetError` MN1101 where `target` is no
        microcontroller, and what generating C raises.
        """
        from mnetdsl.backends.c import Options
        from mnetdsl.backends.c.trade import choose
        from mnetdsl.backends.firmware import forecast

        core = _core(target)
        if core is None:
            raise MnetError(error("MN1101", f"`{target}` is no microcontroller", help="`mnet targets` lists them"))
        module = self.optimized()
        options = Options(core=core, rows=rows, memories=self.budget_on(target).memories)
        return forecast(module, options if instructions is None else choose(module, options, instructions).options)

    def _within(self, instructions: int, target: str, rows: bool) -> Chosen:
        """The way to run on `target` that takes the least RAM within so many instructions."""
        from mnetdsl.backends.c import Options
        from mnetdsl.backends.c.trade import choose

        core = _core(target)
        if core is None:
            raise MnetError(
                error(
                    "MN1117",
                    f"instructions on `{target}` are not known",
                    help="give a microcontroller as target: `mnet targets` lists them",
                ),
                exit_code=ExitCode.USAGE,
            )
        return choose(self.optimized(), Options(core=core, rows=rows), instructions)

    @property
    def target(self) -> str | None:
        """The target that the deployment names, as `mnet targets` spells it."""
        deployment = self.instance.deployment
        return None if deployment is None else deployment.target

    @property
    def budget(self) -> Budget:
        """Flash and RAM of the deployment's target, see `budget_on`."""
        return self.budget_on(self.target)

    def budget_on(self, target: str | None) -> Budget:
        """Flash and RAM that the deployment declares, else those of the part that `target` names.

        A deployment that is to be quantized and is not yet has none: what would be compiled is float32.
        """
        from mnetdsl.backends.c.budget import Budget
        from mnetdsl.plan import Memory
        from mnetdsl.targets import find_device, memories

        deployment = self.instance.deployment
        if deployment is not None and deployment.to_be_quantized:
            return Budget()
        device = find_device(target) if target is not None else None
        flash = None if deployment is None else deployment.budget("flash")
        ram = None if deployment is None else deployment.budget("ram")
        if device is None:
            return Budget(flash, ram)
        flash = device.flash if flash is None else flash
        if ram is not None or device.board is None:
            return Budget(flash, ram)
        found = tuple(Memory(region.name, region.bytes) for region in memories(device.board.ram))
        return Budget(flash, device.ram, device.name, found)

    def over_budget(
        self,
        budget: Budget | None = None,
        target: str | None = None,
        *,
        rows: bool = False,
        bands: Bands | None = None,
    ) -> tuple[Diagnostic, ...]:
        """What of generated C for `target` exceeds `budget` (default: the deployment's), with the layer to blame.

        `rows`: of C that takes its image row by row, in `bands`. Constants are counted before kernels lay them out,
        which takes weights: `compile` counts them to the byte.
        """
        from mnetdsl.backends.c.budget import Budget, over_budget

        chosen = budget or self.budget
        if chosen == Budget():
            return ()
        plan = self.plan(target or self.target, rows=rows, bands=bands, memories=chosen.memories)
        return tuple(over_budget(self.optimized(), plan, chosen, rows))

    def run(self, inputs: Mapping[str, NDArray[np.generic]], on: str = "numpy") -> dict[str, NDArray[np.generic]]:
        """Outputs by name for inputs `[N, …]` by name, on `numpy`, `c`, `iree-cpu`, `iree-vulkan` or `qemu:CORE`.

        All run the optimized module, which takes the interpreter a fifth less time than the one as written.
        C and IREE are compiled in each call: run many inputs as one batch, or keep a runner of `backends.runners`.
        Raises `MnetError` where the inputs do not fit (MN0620, MN0621) or weights are missing (MN0720).
        """
        if not isinstance(inputs, Mapping):
            names = ", ".join(f'"{port.name}": …' for port in self.module.graph.inputs)
            raise MnetError(
                error(
                    "MN0620",
                    f"inputs are given by name, not as {type(inputs).__name__}",
                    help=f"write `run({{{names}}})`",
                ),
            )
        from mnetdsl.backends.runners import make_runner

        return make_runner(on, self.optimized()).run(inputs)

    def compile(
        self,
        target: str,
        folder: str | Path | None = None,
        *,
        budget: Budget | None = None,
        selftest: int | None = None,
        package: str | None = None,
        remark: Callable[[Remark], None] = lambda remark: None,
        precision: str = "f32",
        rows: bool = False,
        threads: int | None = None,
        instructions: int | None = None,
    ) -> dict[str, bytes]:
        """Files for `target` by name; written to `folder` (whole or not at all) where one is given.

        C is held to `budget` (default: the deployment's, else the target's). `selftest` embeds that many images and
        the interpreter's answers in a file of their own, which a device can check itself with. `remark` is told how
        each layer of an IREE module runs. `package`, such as `cmake`, adds what a build system wants around C.
        `rows` makes C that takes the image row by row, in less memory (docs/decisions/0008-rows.md).
        `precision` "bf16" stores maps and weights of an IREE module in bfloat16, and tells `remark` what that costs.
        `threads` arranges an IREE module for a CPU for that many; it runs on any number.
        `instructions` is what an inference may take on the target by prediction: of all ways to run the network, the
        one of least RAM within them is taken, and `remark` is told which.
        Raises `MnetError`, with exit code 3 where the budget is exceeded.
        """
        from mnetdsl.backends.packages import check_package
        from mnetdsl.backends.targets import INSTRUCTIONS, check_target, generate, makes_c
        from mnetdsl.files import write_folder
        from mnetdsl.passes.context import Remark

        target = check_target(target)
        _check_quantized(self)
        if package is not None:
            check_package(package)
        limits = budget or self.budget_on(target)
        bands = None
        if instructions is not None:
            chosen = self._within(instructions, target, rows)
            rows, bands = chosen.options.rows, chosen.options.bands
            remark(Remark(INSTRUCTIONS, True, chosen.describe(instructions)))
        if makes_c(target):
            # Flash is known to the byte once kernels have laid out the weights: here it is said beside RAM alone.
            problems = self.over_budget(limits, target, rows=rows, bands=bands)
            if any(problem.code == "MN1103" for problem in problems):
                raise MnetError(*problems, exit_code=ExitCode.OVER_BUDGET)
        vectors = None if selftest is None else self._selftest(selftest)
        files = generate(
            self.optimized(),
            target,
            vectors,
            remark,
            package,
            precision,
            rows,
            threads=threads,
            memories=limits.memories,
            bands=bands,
            flash=limits.flash,
        )
        if folder is not None:
            write_folder(Path(folder), files)
        return files

    def export(self, to: str, file: str | Path, *, stored_inputs: bool = False) -> dict[str, bytes]:
        """`file` in the format `to`, `tflite` or `onnx`, for other tools: float or, with a table of quantization, int8.

        A `.tflite` has beside it the map of its tensors, by which `mnet validate --against` compares every layer.
        `stored_inputs`: images of a quantized network are given as it stores them, also where that is not the pixel.
        Written whole or not at all; returns what was written, by name. Raises `MnetError`: MN2101 for a layer that
        the format has not, MN2102, MN0720 without weights, MN1701 and MN1706 without the packages, MN1814 for a
        deployment that is to be quantized first.
        """
        from mnetdsl.exporters import export_files
        from mnetdsl.files import write_folder

        _check_quantized(self)
        path = Path(file)
        files = export_files(self.module, to, path.name, stored_inputs=stored_inputs)
        write_folder(path.parent, files)
        return files

    def _selftest(self, count: int) -> SelfTest:
        import numpy as np

        from mnetdsl import interpreter
        from mnetdsl.backends.c import SelfTest
        from mnetdsl.images import random_input

        ports = self.module.graph.inputs
        inputs = {port.name: np.concatenate([random_input(port, seed) for seed in range(count)]) for port in ports}
        layers: dict[str, NDArray[np.generic]] = {}
        module = self.optimized()
        if module.quantized:
            interpreter.run(module, inputs, lambda op, array: layers.__setitem__(op.name, array))
        return SelfTest(inputs, interpreter.run(self.module, inputs), layers=layers)

    def requested_pictures(self) -> Pictures:
        """The calibration images that the deployment names. Raises `MnetError` MN1806 where it names none."""
        from mnetdsl.quantize.network import pictures_of

        return pictures_of(str(self.path), self.instance)

    def quantize(
        self,
        calibration: Calibration
        | Pictures
        | Sequence[NDArray[np.generic]]
        | NDArray[np.generic]
        | str
        | Path
        | None = None,
        folder: str | Path | None = None,
        *,
        settings: QuantizationSettings | None = None,
        limit: int | None = None,
        name: str | None = None,
        progress: Callable[[str, float], None] = lambda stage, share: None,
    ) -> QuantizedNetwork:
        """An int8 network, found by calibration on images: a folder or pattern of them, or arrays [N, …] of the input.

        Images and settings that are not given are those of the deployment's section `quantize`.
        The folder of the result, `.mnet` with the table `quantization`, weights and labels, is written to `folder`
        where one is given. `limit` is the number of images to take of a folder, `name` that of the result (default:
        this network's with `_int8`). progress: told of a stage and of the share of it that was done.
        Raises `MnetError`: MN1806 to MN1812, MN0720 without weights, MN0621 for arrays of other shapes, and what
        images raise.
        """
        from mnetdsl.quantize.network import quantize_network

        return quantize_network(
            read_source(self.path),
            self.instance,
            calibration,
            folder,
            settings=settings,
            limit=limit,
            name=name,
            progress=progress,
        )

    def validate(
        self,
        on: str | Sequence[str] = ("c", "iree-cpu"),
        *,
        seed: int = 0,
        inputs: Cases | Mapping[str, NDArray[np.generic]] | None = None,
        tolerance: float | None = None,
        progress: Callable[[str], None] = lambda message: None,
    ) -> ValidationReport:
        """Compares backends with the interpreter, layer by layer where they can be observed.

        inputs: `[N, …]` by name, made up from `seed` where None. tolerance: largest accepted error as a fraction of
        a layer's largest magnitude, 1e-4 where None. progress: told what happens.
        """
        from mnetdsl.validate import TOLERANCE, validate

        chosen = TOLERANCE if tolerance is None else tolerance
        return validate(self.module, _several(on), seed=seed, inputs=inputs, tolerance=chosen, progress=progress)

    def validate_against(
        self,
        tflite: str | Path,
        on: str | Sequence[str] = ("numpy",),
        *,
        seed: int = 0,
        inputs: Cases | None = None,
        tolerance: float | None = None,
        progress: Callable[[str], None] = lambda message: None,
    ) -> ValidationReport:
        """Compares every tensor with TensorFlow Lite's reference kernels on the file this network was imported from,
        or on one that it was exported to.

        Quantized tensors must have the same bits, those of float networks may differ by `tolerance` (default 1e-4 of
        a layer's largest magnitude). Raises `MnetError`: MN1310 to MN1313, MN1701.
        """
        from mnetdsl.validate.against import validate_against
        from mnetdsl.validate.tflite import Reference, read_map

        reference = Reference(str(tflite), read_map(self.path, Path(tflite)))
        return validate_against(
            self.module, reference, _several(on), seed=seed, inputs=inputs, tolerance=tolerance, progress=progress
        )

    def __repr__(self) -> str:
        parameters = "".join(f", {name}={literal(value)}" for name, value in self.instance.parameters.items())
        return f"<Network {self.name} of {self.path.name}{parameters}>"


def _several(names: str | Sequence[str]) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names


def _core(target: str | None) -> Core | None:
    """The core behind the name of a target; None where C is for any machine."""
    from mnetdsl.targets import find_device

    device = None if target is None else find_device(target)
    return None if device is None else device.core
