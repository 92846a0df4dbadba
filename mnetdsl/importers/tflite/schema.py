"""The schema of TensorFlow Lite files: generated code of the package `ai-edge-litert`, imported where it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.diagnostics.extras import install


@dataclass(frozen=True)
class Schema:
    """`module` has the classes of the tables; the others turn its numbers into the names that stand in the schema."""

    module: Any
    operators: dict[int, str]
    elements: dict[int, str]
    options: dict[int, str]


def load_schema(path: str) -> Schema:
    """Raises MN1701 with `path` where the package is not installed."""
    schema = _schema()
    if schema is None:
        raise MnetError(missing_package(path))
    return schema


def missing_package(path: str) -> Diagnostic:
    return error(
        "MN1701",
        "TensorFlow Lite files need the packages ai-edge-litert and flatbuffers",
        location=path,
        help=install("tflite"),
    )


@cache
def _schema() -> Schema | None:
    try:
        from ai_edge_litert import schema_py_generated as module
    except ImportError:
        return None
    return Schema(
        module,
        _names(module.BuiltinOperator),
        _names(module.TensorType),
        _names(module.BuiltinOptions),
    )


def _names(enumeration: Any) -> dict[int, str]:
    return {number: name for name, number in vars(enumeration).items() if isinstance(number, int)}
