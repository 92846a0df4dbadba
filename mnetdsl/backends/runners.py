"""The backends that can run a module on this machine, by the name that `mnet run --on` and `mnet validate --on` take.

A runner is made from one module and then run any number of times:

    runner = make_runner("iree-cpu", module)
    results = runner.run({"image": images}, observe=["stem.conv"])
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.targets import find_device, target_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnetdsl.ir.core import Module

    Arrays = Mapping[str, NDArray[np.generic]]


class Runner(Protocol):
    """Runs one module. What it builds (a shared library, a `.vmfb`) it builds once."""

    def run(self, inputs: Arrays, observe: Collection[str] = ()) -> dict[str, NDArray[np.generic]]:
        """Computes all outputs of the module from all of its inputs.

        inputs: by input port, `[N, …]` of the port's element type, one N for all; N is free.
        observe: layer names (`op.location.name`) whose results are wanted as well.

        Returns outputs by port name and observed results by layer name, each `[N, …]`, but for layers of which not
        all rows are computed; where a layer and an output share a name, it names the output. Raises `MnetError` where
        inputs do not fit the module or the backend fails.
        """
        ...


def _numpy(module: Module) -> Runner:
    from mnetdsl.backends.numpy_runner import NumpyRunner

    return NumpyRunner(module)


def _c(module: Module, rows: bool = False) -> Runner:
    from mnetdsl.backends.c import Options
    from mnetdsl.backends.c.host import HostRunner

    return HostRunner(module, Options(rows=rows))


def _iree(target: str, module: Module) -> Runner:
    from mnetdsl.backends.iree.runner import IreeRunner

    return IreeRunner(module, target)


def _qemu(core: str, module: Module, rows: bool = False) -> Runner:
    from mnetdsl.backends.qemu.runner import QemuRunner

    return QemuRunner(module, core, rows)


ROWS = ":rows"
"""Behind the name of a backend of generated C: what `mnet compile --feed rows` makes, given whole images."""
_CORES = ("cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55")


RUNNERS: dict[str, Callable[[Module], Runner]] = {
    "numpy": _numpy,
    "c": _c,
    "iree-cpu": partial(_iree, "iree-cpu"),
    "iree-cpu:aarch64": partial(_iree, "iree-cpu:aarch64"),
    "iree-cpu:aarch64-dotprod": partial(_iree, "iree-cpu:aarch64-dotprod"),
    "iree-cpu:x86-64-v3": partial(_iree, "iree-cpu:x86-64-v3"),
    "iree-cpu:x86-64-v4": partial(_iree, "iree-cpu:x86-64-v4"),
    "iree-vulkan": partial(_iree, "iree-vulkan"),
    "iree-vulkan:simt": partial(_iree, "iree-vulkan:simt"),
    "iree-vulkan:linalg": partial(_iree, "iree-vulkan:linalg"),
    **{f"qemu:{core}": partial(_qemu, core) for core in _CORES},
    f"c{ROWS}": partial(_c, rows=True),
    **{f"qemu:{core}{ROWS}": partial(_qemu, core, rows=True) for core in _CORES},
}
"""Makes the runner of a backend; imports it only then."""


def runner_of(target: str) -> str | None:
    """The backend that runs what is compiled for a target; None where none does, and for what is no target."""
    if target in RUNNERS:
        return target
    device = find_device(target)
    if device is None:
        return "c" if target == "host-c" else None
    return f"qemu:{device.core.name}" if device.core.name in _CORES else None


def check_backend(name: str) -> None:
    """Raises `MnetError` MN1102 for a name that is not in `RUNNERS`, before anything is loaded or built."""
    if name in RUNNERS:
        return
    target = target_name(name.removeprefix("qemu:").removesuffix(ROWS))
    meant = did_you_mean(name, list(RUNNERS)) if target is None else runner_of(target)
    if meant is not None and name.endswith(ROWS) and f"{meant}{ROWS}" in RUNNERS:
        meant += ROWS
    message = f"nothing runs networks under the name `{name}`"
    compiled = None
    if target is not None and target != meant:
        message = f"nothing here runs networks for the target `{target}`"
        compiled = f"compile for it here and run it there: `mnet compile --target {target}`"
    raise MnetError(
        error(
            "MN1102",
            message,
            help=(
                *([f"did you mean `{meant}`?"] if meant else []),
                *([compiled] if compiled else []),
                f"there are {', '.join(known for known in RUNNERS if not known.endswith(ROWS))}; "
                f"`{ROWS}` behind c and qemu:CORE feeds rows",
                "`mnet targets` lists them with the targets",
            ),
        ),
        exit_code=ExitCode.USAGE,
    )


def make_runner(name: str, module: Module) -> Runner:
    """The runner of backend `name` for `module`.

    Raises `MnetError` as `check_backend` does, and what the backend raises while it builds.
    """
    check_backend(name)
    return RUNNERS[name](module)
