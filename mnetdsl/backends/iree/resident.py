"""A module that runs again and again on inputs that stay on the device: what embedders do, and what is measured."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from iree import runtime
from numpy.typing import NDArray

from mnetdsl.backends.iree.session import upload

Array = NDArray[np.generic]


class Resident:
    """Function `function` of a CPU module with its inputs `[1, …]`, on `threads` threads."""

    def __init__(self, vmfb: bytes, function: str, inputs: Sequence[Array], threads: int) -> None:
        if threads > 1:
            processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
            if len(processors) >= threads:
                chosen = ",".join(map(str, processors[:threads]))
                runtime.flags.parse_flags(f"--task_topology_cpu_ids={chosen}")
            else:
                runtime.flags.parse_flags(f"--task_topology_group_count={threads}")
        driver = runtime.get_driver("local-sync" if threads == 1 else "local-task")
        device = driver.create_default_device(allocators=["caching"])
        instance = runtime.VmInstance()
        module = runtime.VmModule.copy_buffer(instance, vmfb)
        context = runtime.VmContext(instance, modules=[runtime.create_hal_module(instance, device), module])
        arguments = runtime.VmVariantList(len(inputs))
        for array in inputs:
            arguments.push_ref(upload(device, array))
        self._held = _Held(device, context, module.lookup_function(function), arguments)
        self.close = weakref.finalize(self, self._held.release)
        """Frees everything; happens by itself when the object is dropped, or Python ends."""

    def step(self) -> None:
        """Runs the function once."""
        held = self._held
        results = runtime.VmVariantList(1)
        held.context.invoke(held.function, held.arguments, results)
        held.results = results

    def result(self) -> list[Array]:
        """What the last run gave."""
        held = self._held
        views = [held.results.get_as_object(index, runtime.HalBufferView) for index in range(len(held.results))]
        return [np.array(runtime.DeviceArray(held.device, view).to_host()) for view in views]


@dataclass
class _Held:
    """Objects of the runtime, in the reverse of the order in which they may go: a buffer that outlives the device's
    allocator crashes the process."""

    device: Any
    context: Any
    function: Any
    arguments: Any
    results: Any = None

    def release(self) -> None:
        self.results = self.arguments = self.function = self.context = None
        self.device = None
