"""The only place that touches the user's disk: reads with a limit, writes whole or not at all.

Outputs are staged beside their place and renamed into it, so that a failed or interrupted command leaves the old
state: no half file, no folder with some of its files. Every system error becomes a diagnostic of the MN09xx family.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mnetdsl.diagnostics import Diagnostic, MnetError, error

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
MAX_IMAGE = 256 * MIB
MAX_ARRAY = 1 * GIB
MAX_WEIGHTS = 4 * GIB

_CHUNK = 4 * MIB
_ATTEMPTS = 100


def format_size(count: int) -> str:
    """Bytes as people read and write them: `812`, `64K`, `2.5M`; K is 1024, one digit behind the point at most."""
    for unit, name in ((GIB, "G"), (MIB, "M"), (KIB, "K")):
        if count >= unit:
            return f"{count / unit:.1f}".removesuffix(".0") + name
    return str(count)


def read_bytes(path: str | Path, *, what: str = "file", limit: int = MAX_WEIGHTS) -> bytes:
    """The whole of a file of at most `limit` bytes. `what` names it in messages: "weight file", "image".

    Raises `MnetError`: MN0901 not there, MN0902 cannot be read, MN0903 larger than `limit`, MN0904 a folder.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > limit:
                raise MnetError(_too_large(path, what, limit, size))
            # A pipe or device states no size: read in pieces, so that an endless one ends at the limit.
            pieces: list[bytes] = []
            total = 0
            while piece := stream.read(min(_CHUNK, limit - total + 1)):
                pieces.append(piece)
                total += len(piece)
                if total > limit:
                    raise MnetError(_too_large(path, what, limit, None))
            return b"".join(pieces)
    except (OSError, ValueError) as problem:
        raise MnetError(_read_error(path, what, problem)) from None


def require_folder(path: str | Path, *, what: str) -> None:
    """Raises `MnetError` MN0901 where there is no folder at `path`; `what` names it in the message."""
    path = Path(path)
    if path.is_dir():
        return
    if path.exists():
        raise MnetError(
            error("MN0901", f"{what} expected, but this is a file", location=str(path), help="name the folder it is in")
        )
    raise MnetError(_not_found(path, what))


def work_folder(purpose: str) -> TemporaryDirectory[str]:
    """A folder of our own that goes with the object, `purpose` in its name. Raises MN0911 where none can be made."""
    from tempfile import TemporaryDirectory

    try:
        return TemporaryDirectory(prefix=f"mnet-{purpose}-", ignore_cleanup_errors=True)
    except OSError as problem:
        raise MnetError(
            error(
                "MN0911",
                f"no temporary folder can be made: {problem.strerror or problem}",
                help="set TMPDIR to a folder that can be written",
            )
        ) from None


def write_whole(path: str | Path, data: bytes) -> None:
    """Writes a file completely or leaves what was there, also when the disk is full or the user interrupts.

    The folder must exist. A device such as `/dev/stdout` is written directly. Raises `MnetError`: MN0907 not
    allowed, MN0908 disk full, MN0909 the place is taken by something else or has no folder, MN0911 other failures.
    """
    try:
        target = Path(os.path.realpath(path))  # a link keeps pointing at its file, which gets the new content
        if target.exists() and not target.is_dir() and not target.is_file():
            with target.open("wb") as stream:
                stream.write(data)
            return
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        staged = _write_staged(target.parent, data)
        try:
            if target.exists():
                staged.chmod(stat.S_IMODE(target.stat().st_mode))
            staged.replace(target)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as problem:
        raise MnetError(_write_error(Path(path), problem)) from None


def write_folder(path: str | Path, files: Mapping[str, bytes]) -> None:
    """Writes all files into the folder `path` or changes nothing; other files in it are left alone.

    Keys are paths inside the folder with `/` between their parts. The folder and its parents are made where they
    are missing. Raises `MnetError` as `write_whole` does.
    """
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or ".." in parts:
            raise ValueError(f"{name!r} does not lie inside the folder")
    made: list[Path] = []
    done = False
    try:
        folder = Path(os.path.realpath(path))
        _make_folders(folder, made)
        stage = _make_stage(folder)
        try:
            for name in sorted(files):
                place = stage / "new" / name
                place.parent.mkdir(parents=True, exist_ok=True)
                _write_new(place, files[name])
            _move_into_place(stage, folder, sorted(files), made)
            done = True
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    except (OSError, ValueError) as problem:
        raise MnetError(_write_error(Path(path), problem)) from None
    finally:
        if not done:
            for empty in reversed(made):
                _remove_if_empty(empty)


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Makes `folder` and its missing parents, noting each in `made` so that a failure can take them away."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for place in reversed(missing):
        place.mkdir()
        made.append(place)
    if not missing and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def _make_stage(folder: Path) -> Path:
    """An empty folder inside `folder`: the same file system, so that renaming from it is atomic."""
    for attempt in range(_ATTEMPTS):
        stage = folder / f".mnet-{os.getpid()}-{attempt}.tmp"
        try:
            stage.mkdir()
        except FileExistsError:
            continue
        return stage
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))


def _move_into_place(stage: Path, folder: Path, names: list[str], made: list[Path]) -> None:
    """Renames all staged files to their places; on any failure puts the old ones back."""
    for name in names:
        place = folder / name
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(place))
        _make_folders(place.parent, made)
    moved: list[tuple[Path, Path | None]] = []
    try:
        for name in names:
            place, old = folder / name, None
            if place.exists() or place.is_symlink():
                old = stage / "old" / name
                old.parent.mkdir(parents=True, exist_ok=True)
                moved.append((place, old))
                place.replace(old)
            else:
                moved.append((place, None))
            (stage / "new" / name).replace(place)
    except BaseException:
        for place, old in reversed(moved):
            if old is None:
                place.unlink(missing_ok=True)
            elif old.exists() or old.is_symlink():
                old.replace(place)
        raise


def _write_staged(folder: Path, data: bytes) -> Path:
    """Writes a new file in `folder`, to be renamed."""
    for attempt in range(_ATTEMPTS):
        staged = folder / f".mnet-{os.getpid()}-{attempt}.tmp"
        try:
            _write_new(staged, data)
        except FileExistsError:
            continue
        return staged
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))


def _write_new(path: Path, data: bytes) -> None:
    """Writes a file that must not exist yet, down to the disk; removes it where that fails."""
    with path.open("xb") as stream:
        try:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())  # a full or remote disk may only answer now
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # somebody else put something in, or it is gone already


def _too_large(path: Path, what: str, limit: int, size: int | None) -> Diagnostic:
    found = f"{format_size(size)} bytes" if size is not None else "more"
    return error(
        "MN0903",
        f"{what} is too large: at most {format_size(limit)} bytes are read, it has {found}",
        location=str(path),
        help=f"check that this is the {what} you meant",
    )


def _read_error(path: Path, what: str, problem: OSError | ValueError) -> Diagnostic:
    place = str(path).replace("\0", "\\0")
    code = problem.errno if isinstance(problem, OSError) else None
    if code in (errno.ENOENT, errno.ENOTDIR):
        return _not_found(path, what)
    if code == errno.EISDIR:
        return error(
            "MN0904", f"{what} expected, but this is a folder", location=place, help="name a file inside the folder"
        )
    if code in (errno.EACCES, errno.EPERM):
        return error(
            "MN0902",
            f"{what} cannot be read: permission denied",
            location=place,
            help=f"give yourself the right to read it: `chmod u+r {place}`",
        )
    return error(
        "MN0902",
        f"{what} cannot be read: {_reason(problem)}",
        location=place,
        help="check the path and the disk it is on",
    )


def _not_found(path: Path, what: str) -> Diagnostic:
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    if folder != path.parent:
        return error(
            "MN0901",
            f"{what} not found: there is no folder `{path.parent}`",
            location=str(path),
            help=f"`{folder}` is the part of the path that exists",
        )
    from mnetdsl.diagnostics.suggest import did_you_mean

    try:
        siblings = sorted(entry.name for entry in folder.iterdir())[:2000]
    except OSError:
        siblings = []
    suggestion = did_you_mean(path.name, siblings)
    return error(
        "MN0901",
        f"{what} not found",
        location=str(path),
        help=f"did you mean `{path.with_name(suggestion)}`?"
        if suggestion
        else "check the path; it is relative to the folder the command runs in",
    )


def _write_error(path: Path, problem: OSError | ValueError) -> Diagnostic:
    place = str(path).replace("\0", "\\0")
    code = problem.errno if isinstance(problem, OSError) else None
    blocked = problem.filename if isinstance(problem, OSError) and isinstance(problem.filename, str) else place
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return error(
            "MN0908",
            "the disk is full: nothing was written" if code == errno.ENOSPC else f"{_reason(problem)}: nothing written",
            location=place,
            help="free some space, or name an output on another disk",
        )
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = "the disk is read-only" if code == errno.EROFS else "permission denied"
        return error(
            "MN0907",
            f"the output cannot be written: {reason}",
            location=place,
            help="name a place that you may write to",
        )
    if code == errno.ENOENT:
        return error(
            "MN0909",
            f"there is no folder `{path.parent}` to write into",
            location=place,
            help=f"make it first: `mkdir -p {path.parent}`",
        )
    if code in (errno.ENOTDIR, errno.EEXIST):
        return error(
            "MN0909",
            f"the output needs a folder where there is a file: `{_first_file(path)}`",
            location=place,
            help="remove that file or name another output",
        )
    if code == errno.EISDIR:
        return error(
            "MN0909",
            f"the output is a file, but there is a folder at `{blocked}`",
            location=place,
            help="name a file inside the folder, or another place",
        )
    return error(
        "MN0911",
        f"the output cannot be written: {_reason(problem)}",
        location=place,
        help="check the path and the disk it is on",
    )


def _first_file(path: Path) -> Path:
    """The part of a path that is a file and should be a folder."""
    return next((part for part in (*reversed(path.parents), path) if part.exists() and not part.is_dir()), path)


def _reason(problem: OSError | ValueError) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror[0].lower() + problem.strerror[1:]
    return str(problem)
