"""Why an ONNX file is not imported. Codes that say the same of every format are those of TensorFlow Lite."""

from __future__ import annotations

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.diagnostics.extras import install


def damaged(path: str, why: str) -> MnetError:
    """The file contradicts itself or ends too early."""
    return MnetError(
        error(
            "MN1707",
            f"the file is no ONNX model that can be read: {why}",
            location=path,
            help="export or download it again; `python -m onnx.checker` tells what is wrong with its structure",
        )
    )


def elsewhere(path: str, tensor: str, location: str) -> MnetError:
    """Weights in other files: only those beside the model are read, since others could be any file of the user's."""
    return MnetError(
        error(
            "MN1708",
            f"the values of `{tensor}` are not in the file, and `{location}` is no file beside it",
            location=path,
            help='copy it there, or put all into one file: onnx.save(onnx.load("m.onnx"), "whole.onnx")',
        )
    )


def missing_package(path: str) -> Diagnostic:
    return error(
        "MN1706",
        "ONNX files need the package onnx",
        location=path,
        help=install("onnx"),
    )


def two_stores(path: str, operator: int) -> MnetError:
    return MnetError(
        error(
            "MN1704",
            f"operator {operator} is not supported: it stores the result of a layer a second time with other numbers",
            location=path,
            help="quantize the network so that this activation is part of the layer in front of it",
        )
    )
