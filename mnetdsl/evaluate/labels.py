"""`labels.csv`: a header line, then one image a line; the column `file`, and one column of class numbers or several."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.files import MIB, read_bytes

MAX_LABELS = 256 * MIB
FILE_COLUMN = "file"
PLAIN_COLUMNS = ("class", "label")
NAME_COLUMN = "name"


@dataclass(frozen=True)
class Labels:
    """Images and their classes, in the order of the file. `rows` are their lines, from 0 behind the header."""

    column: str
    files: tuple[str, ...]
    classes: tuple[int, ...]
    rows: tuple[int, ...]
    names: dict[int, str]

    def part(self, skip: int, limit: int | None) -> Labels:
        """Without the first `skip`, at most `limit` of the rest."""
        kept = slice(skip, None if limit is None else skip + limit)
        return replace(self, files=self.files[kept], classes=self.classes[kept], rows=self.rows[kept])

    def name(self, index: int) -> str:
        return f"{index} {self.names[index]}" if index in self.names else str(index)


def read_labels(path: str | Path, count: int, column: str | None = None) -> Labels:
    """The labels for a network of `count` classes.

    `column` names the column of class numbers; without it `class_COUNT` is taken, else `class` or `label`. Raises
    `MnetError`: MN1601 no such column, MN1602 a class that the network does not have, MN09xx where it cannot be read.
    """
    text = read_bytes(path, what="label file", limit=MAX_LABELS).decode("utf-8-sig", errors="replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    header = [name for name in reader.fieldnames or () if name]
    if FILE_COLUMN not in header:
        raise _no_column(path, f"there is no column `{FILE_COLUMN}`", header, FILE_COLUMN)
    chosen = _choose(path, header, count, column)
    files: list[str] = []
    classes: list[int] = []
    names: dict[int, str] = {}
    for number, row in enumerate(reader):
        file, value = row.get(FILE_COLUMN) or "", row.get(chosen) or ""
        try:
            index = int(value)
        except ValueError:
            index = -1
        if not 0 <= index < count or not file:
            raise MnetError(
                error(
                    "MN1602",
                    f"row {number + 1} gives `{file}` the {chosen} `{value}`; the network has classes 0 to {count - 1}",
                    location=f"{path}:{number + 2}",
                    help=_other_column(header, chosen, count),
                )
            )
        files.append(file)
        classes.append(index)
        if name := row.get(NAME_COLUMN):
            names.setdefault(index, name)
    return Labels(chosen, tuple(files), tuple(classes), tuple(range(len(files))), names)


def _choose(path: str | Path, header: list[str], count: int, column: str | None) -> str:
    if column is not None:
        if column not in header:
            raise _no_column(path, f"there is no column `{column}`", header, column)
        return column
    for name in (f"class_{count}", *PLAIN_COLUMNS):
        if name in header:
            return name
    raise _no_column(path, f"no column says which of {count} classes an image has", header, f"class_{count}")


def _no_column(path: str | Path, message: str, header: list[str], wanted: str) -> MnetError:
    suggestion = did_you_mean(wanted, header)
    readable = all(name.isprintable() and "\N{REPLACEMENT CHARACTER}" not in name for name in header)
    listed = "its first line names the columns, such as `file,class`"
    if header:
        listed = f"it has {', '.join(header)}" if readable else f"this is no text; of a label file, {listed}"
    return MnetError(
        error(
            "MN1601",
            message,
            location=str(path),
            help=(f"did you mean `--label-column {suggestion}`?", listed) if suggestion else listed,
        )
    )


def _other_column(header: list[str], chosen: str, count: int) -> str:
    others = [name for name in header if name.startswith("class") and name != chosen]
    if others:
        return f"another column may be meant: `--label-column {others[0]}`"
    return f"classes are whole numbers from 0; the network has {count}"
