"""`table quantization` of a `deploy`: the numbers of each quantized tensor (docs/decisions/0007)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mnetdsl.diagnostics import Diagnostic, Label, error
from mnetdsl.diagnostics.suggest import meant
from mnetdsl.ir.types import ElementType, Quantization, Storage, TensorType, type_problem
from mnetdsl.sema.report import Report
from mnetdsl.source import Span
from mnetdsl.syntax import ast

TABLE = "quantization"
STORED_TYPES = {
    "i8": ElementType.I8,
    "u8": ElementType.U8,
    "i16": ElementType.I16,
    "f32": ElementType.F32,
}
COMPUTE = ("integer", "f32")
WEIGHTS = ("per_channel", "per_tensor")


@dataclass(frozen=True)
class QuantizedTensor:
    """One row. `name` is a layer's, an input's or a constant's; with `output ` in front, that of an output.

    `in_float`: the layer computes on real numbers, its result is stored as said. `per_tensor`: the layer's filter has
    one scale, not one per output channel.
    """

    name: str
    storage: Storage
    span: Span | None = None
    in_float: bool = False
    per_tensor: bool = False


Cell: TypeAlias = "str | int | float"


def read_quantization(deploy: ast.Deploy, report: Report) -> tuple[QuantizedTensor, ...] | None:
    """The rows of the table `quantization`, None where there is no such table; what is wrong is reported."""
    found: ast.Table | None = None
    for table in deploy.tables:
        if table.name.text != TABLE:
            help = f"a deploy has one table, `{TABLE}`"
            report.add(error("MN0610", f"a deploy has no table `{table.name.text}`", at=table.name.span, help=help))
        elif found is not None:
            also = (Label(found.name.span, "first here"),)
            report.add(error("MN0305", f"table `{TABLE}` stands twice", at=table.name.span, also=also))
        else:
            found = table
    if found is None or not _columns_fit(found, report):
        return None
    rows: dict[str, QuantizedTensor] = {}
    columns = [column.text for column in found.columns]
    for row in found.rows:
        if len(row.cells) != len(columns):
            continue  # the parser has said so
        tensor = _row(row, dict(zip(columns, row.cells, strict=True)), report)
        if tensor is None:
            continue
        first = rows.setdefault(tensor.name, tensor)
        if first is not tensor and first.span is not None:
            also = (Label(first.span, "first here"),)
            report.add(error("MN1804", f"two rows name the tensor `{tensor.name}`", at=row.span, also=also))
    return tuple(rows.values())


def _columns_fit(table: ast.Table, report: Report) -> bool:
    given = [column.text for column in table.columns]
    needed = ("tensor", "type", "scale", "zero_point")
    missing = [name for name in needed if name not in given]
    for column in table.columns:
        if column.text not in COLUMNS or given.count(column.text) > 1:
            report.add(
                error(
                    "MN1801",
                    f"table `{TABLE}` cannot have this column `{column.text}`",
                    at=column.span,
                    label=meant(column.text, list(COLUMNS)),
                    help=f"its columns are {', '.join(COLUMNS)}, each once",
                )
            )
            return False
    if missing:
        listed = ", ".join(f"`{name}`" for name in missing)
        report.add(
            error(
                "MN1801",
                f"table `{TABLE}` needs the columns {', '.join(needed)}",
                at=table.columns[0].span.to(table.columns[-1].span),
                label=f"{listed} is missing",
            )
        )
    return not missing


def _row(row: ast.TableRow, cells: dict[str, ast.Expr], report: Report) -> QuantizedTensor | None:
    values: dict[str, Cell] = {}
    for column, cell in cells.items():
        value = _literal(cell)
        problem = COLUMNS[column](value)
        if problem or value is None:
            report.add(_bad(f"`{column}` must be {problem}, got {cell.span.text}", cell.span))
            return None
        values[column] = value
    element = STORED_TYPES[str(values["type"])]
    scale, zero_point = float32(float(values["scale"])), int(values["zero_point"])
    if element is ElementType.F32:
        storage = Storage(element)
        if not str(values["tensor"]).startswith("output ") or (scale, zero_point) != (1.0, 0):
            report.add(
                _bad(
                    "f32 is the type of an output alone, with scale 1.0 and zero point 0",
                    row.span,
                    "a layer that computes in float has `f32` in a column `compute`; its result is stored as integers",
                )
            )
            return None
    else:
        storage = Storage(element, Quantization.per_tensor(scale, zero_point))
        wrong = type_problem(TensorType((1,), element, storage.quantization))
        if element is ElementType.I16 and zero_point != 0:
            wrong = "is stored in 16 bits: its zero point is 0"
        if wrong:
            report.add(_bad(f"`{values['tensor']}` {wrong}", row.span))
            return None
    in_float = values.get("compute", "integer") == "f32"
    per_tensor = values.get("weights", "per_channel") == "per_tensor" or element is ElementType.U8
    return QuantizedTensor(str(values["tensor"]), storage, row.span, in_float, per_tensor)


def _bad(message: str, span: Span, help: str = "") -> Diagnostic:
    return error("MN1801", message, at=span, help=help)


def _literal(cell: ast.Expr) -> Cell | None:
    match cell:
        case ast.String():
            return cell.value
        case ast.Name():
            return cell.text
        case ast.Number():
            return cell.value
        case ast.Unary(_, "-", ast.Number() as number):
            return -number.value
        case _:
            return None


def _choice(names: tuple[str, ...]) -> Callable[[Cell | None], str]:
    return lambda value: "" if value in names else f"one of {', '.join(names)}"


def _name(value: Cell | None) -> str:
    return "" if isinstance(value, str) and value else "the name of a layer in quotes"


def float32(value: float) -> float:
    """The nearest float32, which is what a scale is; 0.0 and infinity for what is too small or large."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.inf


def _scale(value: Cell | None) -> str:
    fits = isinstance(value, int | float) and 0.0 < float32(float(value)) < math.inf
    return "" if fits else "a positive number"


def _integer(value: Cell | None) -> str:
    return "" if type(value) is int else "an integer"


COLUMNS: dict[str, Callable[[Cell | None], str]] = {
    "tensor": _name,
    "type": _choice(tuple(STORED_TYPES)),
    "scale": _scale,
    "zero_point": _integer,
    "weights": _choice(WEIGHTS),
    "compute": _choice(COMPUTE),
}
"""Columns -> what a cell must be, in words, where it is not; the last two are optional."""
