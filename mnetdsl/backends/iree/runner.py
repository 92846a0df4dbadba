"""Runs IREE modules on this machine: a package that was compiled, or a module of the IR that gets compiled first."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from mnetdsl.backends.iree.emulated import EmulatedSession, is_foreign
from mnetdsl.backends.iree.manifest import Manifest
from mnetdsl.backends.iree.package import IreePackage, generate
from mnetdsl.backends.iree.processor import lacking
from mnetdsl.backends.iree.remote import RemoteSession
from mnetdsl.backends.iree.session import Array, Session, SessionError
from mnetdsl.backends.iree.targets import TARGETS, IreeTarget
from mnetdsl.backends.iree.versions import RUNTIME, require_iree
from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.interpreter import check_inputs
from mnetdsl.ir.core import Module

VULKAN_PACKAGES = "mesa-vulkan-drivers libvulkan1"


class PackageRunner:
    """A loaded package, from `package.generate` or `package.read_package`.

    `device` is what the device calls itself. Raises `MnetError`: MN1221 and MN1222 for the runtime's package, MN1224
    where the module cannot be loaded, MN1226 where the machine has no Vulkan, MN1228 where it needs another processor
    that cannot be emulated.
    """

    def __init__(self, package: IreePackage) -> None:
        require_iree(RUNTIME)
        self.manifest = package.manifest
        target = TARGETS[self.manifest.target]
        if not is_foreign(target.architecture):
            _require_features(self.manifest)
        try:
            self._session = _open(target, package)
        except SessionError as problem:
            raise MnetError(_explain(problem, self.manifest, target.name)) from None
        self.device = self._session.device

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All results `[N, …]` by name from all inputs `[N, …]` by name; images run one after the other.

        Raises `MnetError`: MN0620 and MN0621 where the inputs do not fit, MN1227 where the device or driver fails.
        """
        batch = check_inputs(self.manifest.signature(), inputs)
        wanted = [(port.shape, port.dtype) for port in self.manifest.outputs]
        columns: list[list[Array]] = [[] for _ in wanted]
        for index in range(batch):
            image = [inputs[port.name][index : index + 1] for port in self.manifest.inputs]
            try:
                results = self._session.call(image, wanted)
            except SessionError as problem:
                raise MnetError(_explain(problem, self.manifest, self.manifest.target)) from None
            for column, result in zip(columns, results, strict=True):
                column.append(result)
        return {port.name: np.concatenate(column) for port, column in zip(self.manifest.outputs, columns, strict=True)}


class IreeRunner:
    """Compiles `module` for `target` (a key of `TARGETS`) and runs it; a `backends.runners.Runner`.

    Layers are observed in a second module that returns them, compiled when first asked for: the one without stays
    what users get, fused as they get it.
    """

    def __init__(self, module: Module, target: str) -> None:
        self._module = module
        self._target = target
        self._plain = PackageRunner(generate(module, module.name, target))
        self._observed: dict[frozenset[str], PackageRunner] = {}
        self.device = self._plain.device

    def run(self, inputs: Mapping[str, Array], observe: Collection[str] = ()) -> dict[str, Array]:
        """As `Runner.run`; raises `KeyError` for a layer that the module has not."""
        outputs = {port.name for port in self._module.graph.outputs}
        layers = frozenset(observe) - outputs
        if not layers:
            return self._plain.run(inputs)
        if layers not in self._observed:
            self._observed = {layers: PackageRunner(generate(self._module, self._module.name, self._target, layers))}
        return self._observed[layers].run(inputs)


def _require_features(manifest: Manifest) -> None:
    """Raises `MnetError` MN1224 where this processor lacks instructions: the process that meets them ends."""
    missing = lacking(manifest.features)
    if missing:
        raise MnetError(
            error(
                "MN1224",
                f"the IREE module `{manifest.name}` was made for a processor with {', '.join(missing)}",
                help="compile the network on this machine, or for all of yours: `--target iree-cpu:x86-64-v3`",
                notes="this processor has not",
            )
        )


def _open(target: IreeTarget, package: IreePackage) -> Session | RemoteSession | EmulatedSession:
    function, architecture = package.manifest.function, target.architecture
    if architecture is not None and is_foreign(architecture):
        return EmulatedSession(package.vmfb, function, target.driver, architecture)
    kind = RemoteSession if target.isolated else Session
    return kind(package.vmfb, function, target.driver)


def _explain(problem: SessionError, manifest: Manifest, target: str) -> Diagnostic:
    name, detail = manifest.name, " ".join(problem.detail.split())[:400]
    said: tuple[str, ...] = (f"IREE says: {detail}",)
    if manifest.capabilities:
        said += (f"its shaders need {', '.join(manifest.capabilities)} (SPIR-V's names), which the device may lack",)
    if problem.stage == "device" and TARGETS[target].driver == "vulkan":
        loader = "loader library not found" in detail
        return error(
            "MN1226",
            "the Vulkan loader is not installed" if loader else "Vulkan finds no device",
            help=(
                f"install loader and drivers: `apt-get install {VULKAN_PACKAGES}` (Debian, Ubuntu; a CPU "
                "implementation is among them), or the driver of your GPU",
                "`vulkaninfo --summary` (package vulkan-tools) shows what is found",
            ),
            notes=f"IREE says: {detail}",
        )
    if problem.stage in ("device", "load"):
        return error(
            "MN1224",
            f"the IREE module `{name}` cannot be loaded for {target}",
            help="it is damaged, or made by another version of IREE or for another machine: compile the network again",
            notes=said,
        )
    if problem.stage == "died":
        return error(
            "MN1227",
            f"the process that runs `{name}` on {target} ended by itself ({detail})",
            help="the device's driver or IREE's runtime crashed: update the driver, or try another device"
            if TARGETS[target].driver == "vulkan"
            else "SIGILL says that this processor lacks instructions of the module; any other is a defect: report it",
        )
    return error(
        "MN1227",
        f"running `{name}` on {target} failed",
        help="check that the device has enough free memory, and try `--on iree-cpu`",
        notes=said,
    )
