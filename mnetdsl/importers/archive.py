"""Zip archives from strangers: opened in memory, bounded before anything is expanded."""

from __future__ import annotations

import io
import zipfile
import zlib

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.files import MAX_WEIGHTS, MIB, format_size

MAX_MEMBERS = 100_000
_MAX_RATIO = 50
"""Weights hardly shrink at all; texts beside them shrink tenfold."""
_SMALL = 16 * MIB
_ENCRYPTED = 0x1
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
"""What zipfile raises on damaged or exotic archives held in memory."""


class Archive:
    """The members of a zip archive by name.

    Raises `MnetError`: MN1502 damaged, MN1503 encrypted, MN1504 expands without measure.
    """

    def __init__(self, data: bytes, path: str) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _DAMAGE:
            raise damaged(path, "it is no complete zip archive") from None
        members = self._zip.infolist()
        if any(member.flag_bits & _ENCRYPTED for member in members):
            raise MnetError(
                error(
                    "MN1503",
                    "the archive is encrypted",
                    location=path,
                    help="save the checkpoint again without a password",
                )
            )
        expanded = sum(member.file_size for member in members)
        stored = sum(member.compress_size for member in members)
        if is_bomb(expanded, len(data)) or stored > len(data) or len(members) > MAX_MEMBERS:
            raise bomb(path, expanded, len(data))
        self._members = {member.filename: member for member in members}

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def size(self, name: str) -> int | None:
        member = self._members.get(name)
        return None if member is None else member.file_size

    def read(self, name: str) -> bytes:
        """The whole of a member; its checksum is checked."""
        member = self._members.get(name)
        if member is None:
            raise damaged(self._path, f"`{name}` is not in it")
        try:
            with self._zip.open(member) as stream:
                data = stream.read(member.file_size)
                stream.read(1)  # reaching the end is what checks the checksum
        except _DAMAGE:
            raise damaged(self._path, f"`{name}` in it cannot be read") from None
        if len(data) != member.file_size:
            raise damaged(self._path, f"`{name}` in it is cut off")
        return data


def is_bomb(expanded: int, size: int) -> bool:
    """Whether a file of `size` bytes should not be able to hold `expanded` bytes of weights."""
    return expanded > MAX_WEIGHTS or expanded > max(_SMALL, _MAX_RATIO * size)


def bomb(path: str, expanded: int, size: int) -> MnetError:
    """MN1504."""
    return MnetError(
        error(
            "MN1504",
            f"the file of {format_size(size)} bytes claims to hold {format_size(expanded)} bytes or more: not expanded",
            location=path,
            help="no program writes a checkpoint like this; take it from another place",
        )
    )


def damaged(path: str, why: str) -> MnetError:
    """MN1502."""
    return MnetError(
        error(
            "MN1502",
            f"the checkpoint is damaged: {why}",
            location=path,
            help="copy or download it again; a file that was being written may be incomplete",
        )
    )
