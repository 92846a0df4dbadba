"""Outputs appear whole or not at all, and every failure of the disk becomes one message."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mnetdsl.diagnostics import MnetError
from mnetdsl.files import format_size, read_bytes, write_folder, write_whole


def code_of(failure: pytest.ExceptionInfo[MnetError]) -> str:
    (diagnostic,) = failure.value.diagnostics
    assert diagnostic.location
    assert diagnostic.help
    return diagnostic.code


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fail_writes(monkeypatch: pytest.MonkeyPatch, problem: BaseException, after: int) -> None:
    """Lets `after` files reach the disk, then fails."""
    real = os.fsync
    count = 0

    def fsync(descriptor: int) -> None:
        nonlocal count
        if count == after:
            raise problem
        count += 1
        real(descriptor)

    monkeypatch.setattr("mnetdsl.files.os.fsync", fsync)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (812, "812"), (1024, "1K"), (65536, "64K"), (2_621_440, "2.5M"), (1 << 30, "1G")],
)
def test_sizes_read_as_they_are_written_in_the_language(count: int, text: str) -> None:
    assert format_size(count) == text


def test_a_written_file_has_the_bytes_and_the_rights_of_any_new_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "out", b"data")
    (tmp_path / "plain").write_bytes(b"")
    assert tree(tmp_path)["out"] == b"data"
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_overwriting_keeps_the_rights_and_follows_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_and_stays_a_device() -> None:
    write_whole("/dev/null", b"data")
    assert Path("/dev/null").is_char_device()


def test_a_full_device_is_reported() -> None:
    with pytest.raises(MnetError) as failure:
        write_whole("/dev/full", b"data")
    assert code_of(failure) == "MN0908"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "MN0908"),
        (errno.EDQUOT, "MN0908"),
        (errno.EACCES, "MN0907"),
        (errno.EROFS, "MN0907"),
        (errno.EIO, "MN0911"),
    ],
)
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    (tmp_path / "out").write_bytes(b"old")
    fail_writes(monkeypatch, OSError(number, os.strerror(number)), after=0)
    with pytest.raises(MnetError) as failure:
        write_whole(tmp_path / "out", b"new")
    assert code_of(failure) == code
    assert tree(tmp_path) == {"out": b"old"}


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").write_bytes(b"old")
    fail_writes(monkeypatch, KeyboardInterrupt(), after=0)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "out", b"new")
    assert tree(tmp_path) == {"out": b"old"}


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    with pytest.raises(MnetError) as failure:
        write_whole(tmp_path, b"data")
    assert code_of(failure) == "MN0909"


def test_a_file_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(MnetError) as failure:
        write_whole(tmp_path / "missing" / "out", b"data")
    assert code_of(failure) == "MN0909"
    assert tree(tmp_path) == {}


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    write_folder(tmp_path / "a" / "b", {"x.c": b"x", "sub/y.c": b"y"})
    assert tree(tmp_path) == {"a/b/x.c": b"x", "a/b/sub/y.c": b"y"}
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["sub", "x.c"]


def test_other_files_of_the_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes(b"mine")
    (tmp_path / "x.c").write_bytes(b"old")
    write_folder(tmp_path, {"x.c": b"new"})
    assert tree(tmp_path) == {"mine.txt": b"mine", "x.c": b"new"}


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_disk_that_fills_up_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    (tmp_path / "b").write_bytes(b"old")
    fail_writes(monkeypatch, OSError(errno.ENOSPC, "full"), after=after)
    with pytest.raises(MnetError) as failure:
        write_folder(tmp_path, {"a": b"new", "b": b"new", "sub/c": b"new"})
    assert code_of(failure) == "MN0908"
    assert tree(tmp_path) == {"b": b"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_new_folder_disappears_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_writes(monkeypatch, OSError(errno.ENOSPC, "full"), after=1)
    with pytest.raises(MnetError):
        write_folder(tmp_path / "a" / "b", {"x": b"new", "y": b"new"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("steps", range(5))
def test_an_interrupt_while_files_move_puts_the_old_ones_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Two old files out, three new ones in: five moves, interrupted before each of them."""
    before = {"a": b"old a", "b": b"old b", "mine": b"mine"}
    for name, data in before.items():
        (tmp_path / name).write_bytes(data)
    real = Path.replace
    count = 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == steps + 1:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path, {"a": b"new", "b": b"new", "c": b"new"})
    assert tree(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "mine"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_bytes(b"")
    for place in (tmp_path / "blocked", tmp_path / "blocked" / "deep"):
        with pytest.raises(MnetError) as failure:
            write_folder(place, {"x": b"new"})
        assert code_of(failure) == "MN0909"
        assert str(tmp_path / "blocked") in failure.value.diagnostics[0].message


def test_a_folder_in_place_of_a_file_is_named_and_nothing_written(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(MnetError) as failure:
        write_folder(tmp_path, {"a": b"new", "b": b"new"})
    assert code_of(failure) == "MN0909"
    assert str(tmp_path / "b") in failure.value.diagnostics[0].message
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("name", ["../escape", "/absolute", "a/../../escape", ""])
def test_nothing_is_written_outside_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="inside the folder"):
        write_folder(tmp_path / "out", {name: b"data"})
    assert tree(tmp_path) == {}


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"")
    with pytest.raises(MnetError) as failure:
        read_bytes(tmp_path / "wieghts.safetensors", what="weight file")
    assert code_of(failure) == "MN0901"
    assert "weights.safetensors" in failure.value.diagnostics[0].help[0]


def test_a_missing_folder_names_the_part_that_exists(tmp_path: Path) -> None:
    with pytest.raises(MnetError) as failure:
        read_bytes(tmp_path / "no" / "where" / "file")
    assert code_of(failure) == "MN0901"
    assert str(tmp_path) in failure.value.diagnostics[0].help[0]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MnetError) as failure:
        read_bytes(tmp_path)
    assert code_of(failure) == "MN0904"


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 11)
    assert len(read_bytes(tmp_path / "big", limit=11)) == 11
    with pytest.raises(MnetError) as failure:
        read_bytes(tmp_path / "big", limit=10)
    assert code_of(failure) == "MN0903"


def test_an_endless_device_is_not_read_to_its_end() -> None:
    with pytest.raises(MnetError) as failure:
        read_bytes("/dev/zero", limit=1000)
    assert code_of(failure) == "MN0903"


def test_a_path_that_no_system_accepts_is_reported() -> None:
    for path in ("a\0b", "x" * 5000):
        with pytest.raises(MnetError) as failure:
            read_bytes(path)
        assert code_of(failure) == "MN0902"
        with pytest.raises(MnetError) as failure:
            write_whole(path, b"")
        assert code_of(failure) == "MN0911"
