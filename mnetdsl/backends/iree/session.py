"""A loaded module on a device, in this process: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from iree import runtime
from numpy.typing import NDArray

Array = NDArray[np.generic]

_ELEMENTS = {
    "float32": runtime.HalElementType.FLOAT_32,
    # The function takes signless integers (`tensors.element_type`), so signed and unsigned bytes are one type to it.
    "int8": runtime.HalElementType.INT_8,
    "uint8": runtime.HalElementType.INT_8,
    "int16": runtime.HalElementType.INT_16,
    "int32": runtime.HalElementType.INT_32,
    "int64": runtime.HalElementType.INT_64,
}


class SessionError(Exception):
    """IREE's runtime refused. `stage` says where: `device`, `load` or `run`; `detail` is what it said."""

    def __init__(self, stage: str, detail: str) -> None:
        super().__init__(f"{stage}: {detail}")
        self.stage = stage
        self.detail = detail


def upload(device: Any, array: Array) -> Any:
    """`array` in the memory of `device`, as the functions of our modules take it."""
    return device.allocator.allocate_buffer_copy(
        memory_type=runtime.MemoryType.DEVICE_LOCAL,
        allowed_usage=runtime.BufferUsage.DEFAULT | runtime.BufferUsage.MAPPING,
        device=device,
        buffer=np.ascontiguousarray(array),
        element_type=_ELEMENTS[array.dtype.name],
    )


class Session:
    """Function `function` of a `.vmfb` on the first device of `driver`; `device` is the name it gives itself."""

    def __init__(self, vmfb: bytes, function: str, driver: str) -> None:
        """Raises `SessionError` at stage `device` or `load`."""
        try:
            found = runtime.get_driver(driver).query_available_devices()
            if not found:
                raise SessionError("device", "no device was found")
            self.device = str(found[0]["name"])
            self._device: Any = runtime.get_device(driver)
        except (RuntimeError, ValueError) as problem:
            raise SessionError("device", str(problem)) from None
        try:
            instance = runtime.VmInstance()
            module = runtime.VmModule.copy_buffer(instance, vmfb)
            self._function: Any = module.lookup_function(function)
            if self._function is None:
                raise SessionError("load", f"the module has no function `{function}`")
            hal = runtime.create_hal_module(instance, self._device)
            self._context: Any = runtime.VmContext(instance, modules=[hal, module])
        except (RuntimeError, ValueError) as problem:
            raise SessionError("load", str(problem)) from None

    def call(self, inputs: Sequence[Array], outputs: Sequence[tuple[tuple[int, ...], str]]) -> list[Array]:
        """Runs the function once; `outputs` gives shape and dtype of each result. Raises `SessionError` at `run`."""
        try:
            arguments = runtime.VmVariantList(len(inputs))
            for array in inputs:
                arguments.push_ref(upload(self._device, array))
            results = runtime.VmVariantList(len(outputs))
            self._context.invoke(self._function, arguments, results)
            views = [results.get_as_object(index, runtime.HalBufferView) for index in range(len(outputs))]
            return [
                np.frombuffer(data, dtype).reshape(shape)
                for data, (shape, dtype) in zip(self._download(views), outputs, strict=True)
            ]
        except (RuntimeError, ValueError) as problem:
            raise SessionError("run", str(problem)) from None

    def _download(self, views: Sequence[Any]) -> list[bytes]:
        """Copies through buffers that the host can see: device memory need not be, and the runtime's own `to_host`
        imports host pointers whose alignment not every Vulkan driver (lavapipe) accepts. All copies are on their way
        before the first is waited for: a wait takes milliseconds. Each has a semaphore of its own. Where they follow
        each other on one, IREE 3.13 sometimes signals it late, and Mesa gives the device up as lost."""
        targets, fences = [], []
        for view in views:
            source = view.get_buffer()
            target = self._device.allocator.allocate_buffer(
                memory_type=runtime.MemoryType.HOST_VISIBLE | runtime.MemoryType.HOST_COHERENT,
                allowed_usage=runtime.BufferUsage.TRANSFER | runtime.BufferUsage.MAPPING,
                allocation_size=source.byte_length(),
            )
            done = self._device.create_semaphore(0)
            self._device.queue_copy(source, target, [(done, 0)], [(done, 1)])
            targets.append(target)
            fences.append(runtime.HalFence.create_at(done, 1))
        for fence in fences:
            fence.wait()
        return [target.map().asarray((target.byte_length(),), np.dtype(np.uint8)).tobytes() for target in targets]
