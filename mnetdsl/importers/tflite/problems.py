"""Why a TensorFlow Lite file is not imported."""

from __future__ import annotations

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.importers.tflite.flat import FlatOperator

MAX_LISTED = 20


def damaged(path: str, why: str) -> MnetError:
    """The file contradicts itself or ends too early."""
    return MnetError(
        error(
            "MN1702",
            f"the file is no TensorFlow Lite model that can be read: {why}",
            location=path,
            help="convert or download it again; `sha256sum` tells whether two copies are the same",
        )
    )


def bad_quantization(path: str, tensor: str, why: str) -> MnetError:
    return MnetError(
        error(
            "MN1703",
            f"tensor {tensor} {why}",
            location=path,
            help="convert the model again, with a calibration set that reaches this layer",
        )
    )


def two_stores(path: str, operator: FlatOperator) -> MnetError:
    """A clamp that stores its result with other numbers than the layer in front of it, whose clamp it is here."""
    return MnetError(
        error(
            "MN1704",
            f"operator {operator.number} ({operator.code}) is not supported: it stores the result of a layer a second "
            "time with other numbers",
            location=path,
            help="convert the network so that this activation is part of the layer in front of it",
        )
    )


def unsupported_model(path: str, why: str, remedy: str) -> MnetError:
    """Not one operator but the whole is of a kind that is not imported."""
    return MnetError(error("MN1705", f"the model is not imported: {why}", location=path, help=remedy))


def not_finite(path: str, key: str) -> Diagnostic:
    return error(
        "MN0706",
        f"`{key}` has values that are NaN or infinite",
        location=path,
        help="the training diverged, or the file is damaged: export the model again",
    )
