"""An IREE module with its manifest, in memory and on disk: `<name>.vmfb` and `<name>.json`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from mnetdsl.backends.iree.compiler import compile_mlir
from mnetdsl.backends.iree.manifest import Manifest, PortInfo
from mnetdsl.backends.iree.processor import recorded
from mnetdsl.backends.iree.shaders import needs
from mnetdsl.backends.iree.targets import TARGETS, VULKAN, IreeTarget, target_of
from mnetdsl.backends.iree.versions import COMPILER, IREE_VERSION, require_iree
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.files import read_bytes
from mnetdsl.ir.core import Module
from mnetdsl.ir.location import Location
from mnetdsl.passes.context import Remark

if TYPE_CHECKING:
    from mnetdsl.backends.iree.kernels.roads import Road

MAX_MANIFEST = 1 << 20


@dataclass(frozen=True)
class IreePackage:
    """A compiled module and how to call it. `roads` says how each layer runs, where it was compiled just now."""

    manifest: Manifest
    vmfb: bytes
    roads: tuple[Road, ...] = ()

    @property
    def files(self) -> dict[str, bytes]:
        """What `mnet compile` writes, by file name."""
        name = self.manifest.name
        return {f"{name}.vmfb": self.vmfb, f"{name}.json": self.manifest.to_json()}

    def remarks(self) -> Iterator[Remark]:
        """How each layer runs, and what a Vulkan device has to have."""
        yield from (road.remark() for road in self.roads)
        if TARGETS[self.manifest.target].driver == VULKAN:
            needed = self.manifest.capabilities
            what = ", ".join(needed) or "nothing that Vulkan 1.1 leaves to the device"
            yield Remark("shaders", not needed, f"the device has to have {what}" if needed else f"they need {what}")


def generate(
    module: Module,
    name: str,
    target: str,
    observe: Collection[str] = (),
    precision: str = "f32",
    threads: int | None = None,
) -> IreePackage:
    """Compiles `module` for `target` (a key of `TARGETS`); files and manifest carry `name`.

    `observe` names layers whose results the function returns behind the outputs, under their layer names. `precision`
    is "bf16" for a target that `kernels.machine.bfloat_of` finds something for, else "f32". `threads` is how many will
    run the module, None where nobody knows: it runs on any number.
    Raises `MnetError` as `emission.emit` and `compiler.compile_mlir` do, `KeyError` for an unknown target or layer.
    """
    require_iree(COMPILER)
    from mnetdsl.backends.iree.emission import FUNCTION, emit, observed_layers
    from mnetdsl.backends.iree.kernels.machine import bfloat_of, features_of, isa_of

    compiled = target_of(target, quantized=module.quantized)
    graph = module.graph
    layers = observed_layers(module, observe)
    isa = isa_of(compiled)
    bfloat = bfloat_of(compiled) if precision == "bf16" else None
    emitted = emit(
        module,
        observe,
        isa,
        device=compiled.device,
        simt=compiled.simt,
        simt_kernels=compiled.simt_kernels,
        bfloat=bfloat,
        threads=threads,
    )
    vmfb = compile_mlir(emitted.text, name, compiled)
    results = [PortInfo.of(port) for port in graph.outputs]
    results += [PortInfo(op.name, op.type.shape, op.type.element.value, {}) for op in layers]
    manifest = Manifest(
        name=name,
        target=target,
        iree=IREE_VERSION,
        flags=compiled.flags,
        sha256=sha256(vmfb).hexdigest(),
        function=FUNCTION,
        inputs=tuple(PortInfo.of(port) for port in graph.inputs),
        outputs=tuple(results),
        precision=precision,
        threads=threads,
        features=() if isa is None else recorded(features_of(compiled.flags)),
        capabilities=needs(vmfb) if compiled.driver == VULKAN else (),
    )
    return IreePackage(manifest, vmfb, emitted.roads or _without_kernels(module, compiled))


def _without_kernels(module: Module, target: IreeTarget) -> tuple[Road, ...]:
    """One line for all layers, where no own kernel is wanted or none fits the processor."""
    from mnetdsl.backends.iree.kernels.isa import ISAS
    from mnetdsl.backends.iree.kernels.roads import Road

    if all(op.opcode == "constant" for op in module.graph.operations):
        return ()
    if target.own_kernels:
        sets = ", ".join(isa.name for isa in ISAS)
        reason = f"`{target.name}` has none of the instruction sets with own kernels: {sets}"
    else:
        reason = f"`{target.name}` leaves it to IREE; `iree-vulkan:simt` has own kernels"
    return (Road(Location(module.name), "module", None, reason),)


def read_package(path: Path) -> IreePackage:
    """Reads a `.vmfb` and the manifest beside it.

    Raises `MnetError`: MN09xx where a file cannot be read, MN1224 where the manifest is none or belongs to other bytes,
    MN1221 where another version of IREE made the module.
    """
    vmfb = read_bytes(path, what="IREE module")
    beside = path.with_suffix(".json")
    data = read_bytes(beside, what="manifest of the IREE module", limit=MAX_MANIFEST)
    try:
        manifest = Manifest.from_json(data)
        TARGETS[manifest.target]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise MnetError(
            error(
                "MN1224",
                f"this is no manifest of an IREE module ({type(problem).__name__}: {problem})",
                location=str(beside),
                help="compile the network again: `mnet compile NET.mnet --target iree-cpu -o DIR`",
            )
        ) from None
    if manifest.iree != IREE_VERSION:
        raise MnetError(
            error(
                "MN1221",
                f"the module was compiled by IREE {manifest.iree}, here is {IREE_VERSION}",
                location=str(path),
                help=f"compile the network again: `mnet compile NET.mnet --target {manifest.target} -o DIR`",
            )
        )
    if manifest.sha256 != sha256(vmfb).hexdigest():
        # The runtime checks the format, not the machine code in it: running a damaged module may end the process.
        raise MnetError(
            error(
                "MN1224",
                "the IREE module is not the one that its manifest describes",
                location=str(path),
                help=f"copy both files again, or run `mnet compile NET.mnet --target {manifest.target} -o DIR`",
            )
        )
    return IreePackage(manifest, vmfb)
