"""Runs generated C inside this process: the files as users get them, built into a shared library."""

from __future__ import annotations

import ctypes
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.backends.c import CPackage, Options, generate
from mnetdsl.backends.c.observation import empty_result, showing_layers, shown_inputs, wanted_operations, whole_layers
from mnetdsl.backends.c.render import host_files
from mnetdsl.backends.c.toolchain import compile_objects, find_compiler, library_suffix, link_library
from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.files import work_folder, write_folder
from mnetdsl.interpreter import check_inputs
from mnetdsl.ir.core import Module

Array = NDArray[np.generic]
FLAGS = ("-std=c99", "-O2", "-fPIC")
LayerObserver = Callable[[int, int, int], None]
"""Called with the layer's index, the address of its result and its size in bytes."""

_OBSERVER = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_void_p, ctypes.c_size_t)


class HostLibrary:
    """A package, compiled and loaded. Raises MN1201 and MN1202 where there is no compiler or it fails."""

    def __init__(self, package: CPackage, flags: Sequence[str] = FLAGS) -> None:
        compiler = find_compiler()
        program = package.program
        self._folder = work_folder("c")
        folder = Path(self._folder.name)
        write_folder(folder, {**package.files, **host_files(program)})
        sources = [folder / f"{program.name}.c", folder / f"{program.name}_weights.c", folder / "mnet_host.c"]
        own = [*flags, "-include", str(folder / "mnet_host.h"), "-I", str(folder)]
        objects = compile_objects(compiler, sources, own)
        library = folder / f"{program.name}_host{library_suffix()}"
        link_library(compiler, objects, library, [flag for flag in flags if flag.startswith("-f")] + ["-lm"])
        self._run = _load(library).mnet_run
        self._run.restype = ctypes.c_int32

    def call(
        self,
        arena: Array | Sequence[Array],
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        observe: LayerObserver | None = None,
    ) -> int:
        """One inference in the given memory; returns the status. An exception of `observe` is raised here."""
        arenas = [arena] if isinstance(arena, np.ndarray) else arena
        raised: list[BaseException] = []

        def forward(layer: int, address: int, size: int) -> None:
            # Nothing may pass through C frames: kept, and raised once they are gone.
            try:
                if observe is not None and not raised:
                    observe(layer, address, size)
            except BaseException as problem:
                raised.append(problem)

        callback = _OBSERVER(forward) if observe is not None else _OBSERVER()
        status = self._run(
            (ctypes.c_void_p * len(arenas))(*(memory.ctypes.data for memory in arenas)),
            (ctypes.c_size_t * len(arenas))(*(memory.nbytes for memory in arenas)),
            (ctypes.c_void_p * len(inputs))(*(array.ctypes.data for array in inputs)),
            (ctypes.c_void_p * len(outputs))(*(array.ctypes.data for array in outputs)),
            callback,
        )
        if raised:
            raise raised[0]
        return int(status)


class HostRunner:
    """Generated C as a `backends.runners.Runner`; built once, images run one after the other.

    `package` is what was generated, its plan included, and `library` what it was built into.
    """

    def __init__(self, module: Module, options: Options | None = None, flags: Sequence[str] = FLAGS) -> None:
        self._module = module
        self.package = generate(module, options=options)
        self.library = HostLibrary(self.package, flags)

    def run(self, inputs: Mapping[str, Array], observe: Collection[str] = ()) -> dict[str, Array]:
        """As `Runner.run`; layers are copied the moment they are computed, before others reuse their memory.

        Raises `MnetError`: MN0620 and MN0621 where the inputs do not fit, MN1203 where the model reports an error;
        `KeyError` for a layer that the module has not.
        """
        batch = check_inputs(self._module, inputs)
        graph = self._module.graph
        arrays = [np.ascontiguousarray(inputs[port.name]) for port in graph.inputs]
        outputs = {port.name: empty_result(port.value, batch) for port in graph.outputs}
        wanted = whole_layers(self.package, wanted_operations(self._module, frozenset(observe) - outputs.keys()))
        layers = {name: empty_result(op.result, batch) for name, op in wanted.items()}
        for name, port_name in shown_inputs(self._module, wanted).items():
            layers[name][...] = inputs[port_name].reshape(layers[name].shape)
        sources = showing_layers(self.package.operations, wanted)
        blocks = [np.empty(arena.bytes + 8, np.uint8) for arena in self.package.plan.arenas]
        arenas = [block[-block.ctypes.data % 8 :] for block in blocks]
        for index in range(batch):
            written: Counter[int] = Counter()

            def keep(layer: int, address: int, size: int, index: int = index, at: Counter[int] = written) -> None:
                """A layer comes whole or, by rows, in pieces."""
                for name in sources.get(layer, ()):
                    ctypes.memmove(layers[name][index : index + 1].ctypes.data + at[layer], address, size)
                at[layer] += size

            images = [array[index : index + 1] for array in arrays]
            status = self.library.call(
                arenas, images, [array[index : index + 1] for array in outputs.values()], keep if sources else None
            )
            if status != 0:
                raise MnetError(
                    error(
                        "MN1203",
                        f"the generated C of `{self._module.name}` returned {status}",
                        help="report this: the runner gave it an arena and buffers as its header asks",
                    ),
                    exit_code=ExitCode.INTERNAL,
                )
        return {**layers, **outputs}


def _load(library: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(library))
    except OSError as problem:
        raise MnetError(
            error(
                "MN1202",
                "the library that the C compiler made cannot be loaded",
                notes=str(problem).replace(f"{library.parent}{os.sep}", ""),
                help=(
                    "set TMPDIR to a folder from which programs may run",
                    "use a compiler for this machine and for the bits of this Python",
                ),
            )
        ) from None
