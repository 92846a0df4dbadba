"""Runs a compiled module with IREE's runtime alone: what a service in Python deploys.

    pip install iree-base-runtime==3.13.0 numpy
    python classify.py build/net/net.vmfb image.npy [--threads 2] [--runs 100]

`image.npy` is what the module takes, as the manifest beside it says: for a network of the zoo u8 pixels [1, H, W, 3].
Prints the five largest outputs and the median time of a run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from iree import runtime

ELEMENTS = {"ui8": np.uint8, "i8": np.int8, "f32": np.float32}
"""The manifest's words for what inputs are made of."""


class Network:
    """A module on `threads` threads of this processor, loaded once."""

    def __init__(self, path: Path, threads: int) -> None:
        self.manifest = json.loads(path.with_suffix(".json").read_text())
        check_version(self.manifest["iree"])
        if threads > 1:
            # Each worker keeps its core, and finds its part of the last layer in that core's cache.
            cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:threads])
            runtime.flags.parse_flags(f"--task_topology_cpu_ids={cores}")
        driver = runtime.get_driver("local-sync" if threads == 1 else "local-task")
        # Without this allocator each call gets fresh pages from the system, which costs large maps half their time.
        self.device = driver.create_default_device(allocators=["caching"])
        instance = runtime.VmInstance()
        # A copy: a file that is mapped and then overwritten ends the process.
        module = runtime.VmModule.copy_buffer(instance, path.read_bytes())
        self.context = runtime.VmContext(instance, modules=[runtime.create_hal_module(instance, self.device), module])
        self.function = module.lookup_function(self.manifest["function"])
        if threads > 1:
            # The caller waits for workers; under this policy it is not preferred over them.
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    def upload(self, array: np.ndarray[Any, Any]) -> Any:
        """An input where runs read it: kept and used again, it costs nothing."""
        return self.device.allocator.allocate_buffer_copy(
            memory_type=runtime.MemoryType.DEVICE_LOCAL,
            allowed_usage=runtime.BufferUsage.DEFAULT | runtime.BufferUsage.MAPPING,
            device=self.device,
            buffer=np.ascontiguousarray(array),
            element_type=runtime.HalElementType.FLOAT_32 if array.dtype == np.float32 else runtime.HalElementType.INT_8,
        )

    def run(self, *inputs: Any) -> list[np.ndarray[Any, Any]]:
        """The outputs for uploaded inputs, in the manifest's orders."""
        arguments = runtime.VmVariantList(len(inputs))
        for value in inputs:
            arguments.push_ref(value)
        results = runtime.VmVariantList(len(self.manifest["outputs"]))
        self.context.invoke(self.function, arguments, results)
        views = [results.get_as_object(index, runtime.HalBufferView) for index in range(len(results))]
        return [np.array(runtime.DeviceArray(self.device, view).to_host()) for view in views]


def check_version(made: str) -> None:
    """Ends the program with a line where the module was made by another IREE than the one installed."""
    here = version("iree-base-runtime")
    if made != here:
        sys.exit(f"the module was made by IREE {made}, here is {here}: pip install iree-base-runtime=={made}")


def check(array: np.ndarray[Any, Any], port: dict[str, Any]) -> None:
    """Ends the program with a line where `array` is not what `port` of the manifest takes."""
    element = np.dtype(ELEMENTS[port["element"]])
    if list(array.shape) != port["shape"] or array.dtype != element:
        sys.exit(f"{port['name']} takes {element} {port['shape']}, this is {array.dtype} {list(array.shape)}")


def count(text: str) -> int:
    """A number of threads or runs."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--threads", type=count, default=1)
    parser.add_argument("--runs", type=count, default=1)
    asked = parser.parse_args()
    try:
        network = Network(asked.module, asked.threads)
        image = np.load(asked.image)
    except (OSError, ValueError, KeyError, RuntimeError) as problem:
        # A file that is missing or damaged, or a module for another device.
        sys.exit(f"{asked.module.name} and {asked.image.name} cannot be loaded: {problem}")
    check(image, network.manifest["inputs"][0])
    held = network.upload(image)
    times = []
    for _ in range(asked.runs):
        start = time.perf_counter()
        outputs = network.run(held)
        times.append(time.perf_counter() - start)
    scores = outputs[0].reshape(-1)
    labels = network.manifest["outputs"][0]["attributes"].get("labels")
    for index in np.argsort(-scores, kind="stable")[:5]:
        print(f"{index:6d} {scores[index]:10.4f}" + (f"  of {labels}" if labels else ""))
    print(f"{statistics.median(times) * 1e3:.3f} ms, median of {asked.runs}")


if __name__ == "__main__":
    main()
