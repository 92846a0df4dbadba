"""Packages that only some work needs: what to type where one is missing."""

from __future__ import annotations

EXTRAS: dict[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "keras": ("h5py",),
    "tflite": ("ai-edge-litert", "flatbuffers"),
    "onnx": ("onnx",),
    "bench": ("onnx", "onnxruntime", "openvino", "ai-edge-litert", "flatbuffers"),
}
"""Extras of mnetdsl -> the packages that `pyproject.toml` gives them."""


def install(extra: str) -> tuple[str, str]:
    """Help: the packages by themselves, and the extra, which also says their versions."""
    return (
        f"install it: `pip install {' '.join(EXTRAS[extra])}`",
        f"or, in the folder of mnetdsl, as its extra: `pip install '.[{extra}]'`",
    )
