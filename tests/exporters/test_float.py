"""Float networks written for other engines, read back by these engines where they are installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.bench.float_module import behind_preprocessing
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from tests.exporters.needs import need

TOLERANCE = 1e-4
"""Of the largest magnitude: whole networks."""
NETWORKS = ["mobilenet_v1", "mobilenet_v3_small", "mobilenet_edgetpu", "mobilenet_v4_hybrid_medium"]

Array = NDArray[np.float32]


def network(name: str) -> tuple[Module, Array, Array]:
    """The network behind its preprocessing, an input, the interpreter's answer."""
    size = 64 if "hybrid" in name else 48
    module = behind_preprocessing(mnetdsl.load(name, resolution=size).with_weights("random:1").optimized())
    image = np.random.default_rng(1).standard_normal((1, size, size, 3)).astype(np.float32)
    logits = run(module, {module.graph.inputs[0].name: image})[module.graph.outputs[0].name]
    return module, image, np.asarray(logits, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("channels_first", [False, True])
def test_onnxruntime_computes_the_same_logits(name: str, channels_first: bool) -> None:
    need("onnx", "onnxruntime", extra="bench")
    import onnxruntime

    from mnetdsl.exporters.onnx import to_onnx

    module, image, expected = network(name)
    session = onnxruntime.InferenceSession(to_onnx(module, channels_first=channels_first))
    fed = image.transpose(0, 3, 1, 2) if channels_first else image
    (logits,) = session.run(None, {session.get_inputs()[0].name: fed})
    assert np.abs(logits - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_litert_computes_the_same_logits(name: str, tmp_path: Path) -> None:
    need("ai_edge_litert", "flatbuffers")
    from ai_edge_litert.interpreter import Interpreter

    from mnetdsl.exporters.tflite import to_tflite

    module, image, expected = network(name)
    (tmp_path / "net.tflite").write_bytes(to_tflite(module))
    interpreter = Interpreter(str(tmp_path / "net.tflite"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    logits = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert np.abs(logits - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_the_same_module_gives_the_same_bytes() -> None:
    need("onnx", "ai_edge_litert", "flatbuffers")
    from mnetdsl.exporters.onnx import to_onnx
    from mnetdsl.exporters.tflite import to_tflite

    module, _, _ = network("mobilenet_v3_small")
    assert to_onnx(module) == to_onnx(module)
    assert to_tflite(module) == to_tflite(module)
