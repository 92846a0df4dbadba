"""Every operation of float networks in both formats: reference implementations compute the interpreter's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mnetdsl
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from mnetdsl.quantize.apply import quantizable
from tests.exporters.litert import run_reference
from tests.exporters.needs import need
from tests.exporters.test_onnx import reference

TOLERANCE = 1e-5
"""Of the largest magnitude."""

STATEMENTS = {
    "resize": "resize(x, size = [9, 14], method = bilinear)",
    "resize, corners": "resize(x, size = [9, 14], method = bilinear, align_corners = true)",
    "resize, middles": "resize(x, size = [12, 14], method = bilinear, half_pixel_centers = true)",
    "resize, nearest": "resize(x, size = [9, 14], method = nearest)",
    "resize, nearest middles": "resize(x, size = [9, 4], method = nearest, half_pixel_centers = true)",
    "argmax": "argmax(x)",
    "layer_norm": "layer_norm(x)",
    "layer_norm of rows": "layer_norm(reshape(x, [42, 8]))",
    "silu": "silu(x)",
    "hard_sigmoid": "hard_sigmoid(x)",
    "gelu": "gelu(x)",
    "tanh": "tanh(x)",
    "clamp": "clamp(x, -0.3, 0.7)",
    "clamp to one": "clamp(x, -1.0, 1.0)",
    "softmax of a map": "softmax(x)",
    "avg_pool": "avg_pool(x, 3, stride = 2, padding = same)",
    "max_pool": "max_pool(x, 3, stride = 2, padding = [1, 1, 2, 0])",
    "pad": "pad(x, [1, 2, 0, 3], value = 0.5)",
    "concat": "concat([x, relu(x)])",
    "concat of rows": "concat([x, relu(x)], axis = 0)",
    "transpose": "transpose(x, order = [2, 0, 1])",
    "slice": "slice(x, begin = [1, 0, 2], size = [3, 6, 5])",
    "reshape": "reshape(x, [14, 3, 8])",
    "flatten": "flatten(x)",
    "a sum with numbers": "relu6(x * 0.5 + 1.0) - x",
    "matmul": "matmul(reshape(x, [42, 8]), reshape(x, [42, 8]), transpose = true, scale = 0.5)",
}


def module(statement: str, folder: Path) -> Module:
    path = folder / "net.mnet"
    lines = (
        "mnet 1",
        "",
        "model net() {",
        "  input data: f32[6, 7, 8]",
        f"  x = conv2d(data, 8) as stem\n  output y = {statement}",
        "}",
    )
    path.write_text("\n".join(lines) + "\n")
    return quantizable(mnetdsl.load(path).with_weights("random:1").module)


@pytest.mark.parametrize("name", STATEMENTS)
def test_both_formats(name: str, tmp_path: Path) -> None:
    need("onnx", "ai_edge_litert", "flatbuffers")
    from mnetdsl.exporters.onnx import write_onnx
    from mnetdsl.exporters.tflite import write_tflite

    made = module(STATEMENTS[name], tmp_path)
    data = np.random.default_rng(1).standard_normal((1, 6, 7, 8)).astype(np.float32)
    expected = run(made, {"data": data})["y"]
    found = {
        "TensorFlow Lite": run_reference(write_tflite(made), {"data": data})["y"],
        "ONNX": reference(write_onnx(made), {"data": data})["y"],
    }
    for format, array in found.items():
        assert array.shape == expected.shape, format
        assert array.dtype == expected.dtype, format
        tolerance = TOLERANCE * float(np.abs(expected).max())
        np.testing.assert_allclose(array, expected, atol=tolerance, err_msg=format)
