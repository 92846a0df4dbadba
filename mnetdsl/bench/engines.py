"""The engines that a network is measured on, each at its best settings for latency with batch 1.

An engine makes `step`, which runs once on an input that already lies where the engine wants it, and `result`, which
fetches the outputs of the last run: copying images in and logits out is not measured.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

OURS = "mnetdsl"
IREE = "iree"
PEAK = "peak"


@dataclass(frozen=True)
class Running:
    """A loaded network."""

    step: Callable[[], object]
    result: Callable[[], list[Array]]


@dataclass(frozen=True)
class Engine:
    """package: what PyPI calls it. file: which of the prepared files it reads, maybe one a number of {threads}. load:
    from that file, inputs, threads and precision. bfloat: whether it computes in bf16 where that is asked for."""

    package: str
    file: str
    load: Callable[[Path, Sequence[Array], int, str], Running]
    bfloat: bool = False


def _iree(path: Path, inputs: Sequence[Array], threads: int, precision: str) -> Running:
    from mnetdsl.backends.iree.resident import Resident

    network = Resident(path.read_bytes(), "main", inputs, threads)
    return Running(network.step, network.result)


def _onnxruntime(path: Path, inputs: Sequence[Array], threads: int, precision: str) -> Running:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    arrays = [_channels_first(array) for array in inputs]
    for port, array in zip(session.get_inputs(), arrays, strict=True):
        binding.bind_cpu_input(port.name, array)
    for port in session.get_outputs():
        binding.bind_output(port.name)
    return Running(lambda: session.run_with_iobinding(binding), lambda: list(binding.copy_outputs_to_cpu()))


def _openvino(path: Path, inputs: Sequence[Array], threads: int, precision: str) -> Running:
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    model = openvino.Core().compile_model(str(path), "CPU", settings)
    request = model.create_infer_request()
    for index, array in enumerate(inputs):
        request.set_input_tensor(index, openvino.Tensor(_channels_first(array)))
    return Running(
        request.infer,
        lambda: [np.array(request.get_output_tensor(index).data) for index in range(len(model.outputs))],
    )


def _litert(path: Path, inputs: Sequence[Array], threads: int, precision: str) -> Running:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    for port, array in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(port["index"], array)
    ports: list[dict[str, Any]] = interpreter.get_output_details()
    return Running(interpreter.invoke, lambda: [interpreter.get_tensor(port["index"]) for port in ports])


def _channels_first(array: Array) -> Array:
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2)) if array.ndim == 4 else array


ENGINES: dict[str, Engine] = {
    OURS: Engine("iree-base-runtime", "own_{threads}.vmfb", _iree, bfloat=True),
    IREE: Engine("iree-base-runtime", "linalg.vmfb", _iree),
    PEAK: Engine("iree-base-runtime", "peak.vmfb", _iree),
    "litert": Engine("ai-edge-litert", "network.tflite", _litert),
    "onnxruntime": Engine("onnxruntime", "network.onnx", _onnxruntime),
    "openvino": Engine("openvino", "network.onnx", _openvino, bfloat=True),
}
"""Ours; IREE's own code generation from linalg, at its highest level with data tiling; the register-only loop that
shows the processor's peak; other people's engines."""

WRITERS: dict[str, tuple[str, ...]] = {
    "network.onnx": ("onnx",),
    "network.tflite": ("ai-edge-litert", "flatbuffers"),
}
"""Packages that writing a file takes."""


def calm_scheduling() -> None:
    """SCHED_BATCH for this thread: a caller that waits for workers is then not preferred over them, which otherwise
    doubles the time of one call in ten. Needs no privileges; other systems have no such policy."""
    if hasattr(os, "SCHED_BATCH"):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
