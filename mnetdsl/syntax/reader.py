"""Reads a source file: whatever is given, the user gets a text or one clear message."""

from __future__ import annotations

from pathlib import Path

from mnetdsl import resources
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.source import SourceFile, Span

MAX_BYTES = 1 << 18
"""The largest network of the zoo has 10 KB."""


def is_file(path: Path) -> bool:
    """Whether there is a file; a path that the system cannot even look up, such as an overlong one, is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder, as `is_file`."""
    try:
        return path.is_dir()
    except OSError:
        return False


def read_source(path: str | Path, limit: int = MAX_BYTES) -> SourceFile:
    """The decoded file of at most `limit` bytes; a folder that holds one `.mnet` may be named in its place.

    A byte order mark is dropped and CRLF line ends stay in place, so that columns are right. Raises `MnetError` for
    what is missing, unreadable, too large, empty or no text.
    """
    path = _in_folder(Path(path))
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as problem:
        raise MnetError(
            error("MN0902", f"cannot read `{path}`: {problem.strerror or problem}", location=str(path))
        ) from None
    if len(data) > limit:
        raise MnetError(
            error(
                "MN0903",
                f"`{path}` is larger than {limit // 1024} KiB, which no network description is",
                location=str(path),
                help="is this the right file? weights stand in a file of their own",
            )
        )
    return SourceFile(str(path), _decode(path, data))


def _in_folder(path: Path) -> Path:
    if not is_folder(path):
        return path
    files = sorted(path.glob("*.mnet"))
    if len(files) == 1:
        return files[0]
    found = f"it has {', '.join(file.name for file in files[:8])}" if files else "it has none"
    raise MnetError(
        error(
            "MN0904",
            f"`{path}` is a folder, and it does not hold exactly one .mnet file",
            location=str(path),
            help=f"name the file; {found}",
        )
    )


def _missing(path: Path) -> MnetError:
    folder = path.parent
    siblings = [file.name for file in folder.glob("*.mnet")] if is_folder(folder) else []
    zoo = [file.stem for file in resources.zoo_folder().glob("*.mnet")]
    suggestion = did_you_mean(path.name, siblings)
    if suggestion is not None:
        suggestion = str(folder / suggestion)
    elif folder == Path():
        suggestion = did_you_mean(path.name, zoo)
    return MnetError(
        error(
            "MN0901",
            f"there is no file `{path}`",
            location=str(path),
            help=f"did you mean `{suggestion}`?"
            if suggestion
            else "give a path, or the name of a network of the zoo: " + ", ".join(sorted(zoo)),
        )
    )


def _decode(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise MnetError(
            error(
                "MN0905",
                f"`{path}` is not UTF-8 text: byte 0x{data[problem.start]:02x} at offset {problem.start}, line {line}",
                location=f"{path}:{line}",
                help="save it as UTF-8; is it a text file at all?",
            )
        ) from None
    source = SourceFile(str(path), text)
    if "\0" in text:
        offset = text.index("\0")
        raise MnetError(
            error("MN0905", f"`{path}` holds a NUL character: it is no text", at=Span(source, offset, offset + 1))
        )
    if not text.strip():
        raise MnetError(
            error("MN0906", f"`{path}` is empty", location=str(path), help="start from the zoo: mnet new NAME.mnet")
        )
    return text
