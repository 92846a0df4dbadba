"""Whatever is given as a source file, the user gets a text or one clear message."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.syntax.reader import MAX_BYTES, read_source

TEXT = "mnet 1\n"


def refused(path: Path) -> Diagnostic:
    with pytest.raises(MnetError) as caught:
        read_source(path)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "net.mnet"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert read_source(path).text == TEXT


def test_windows_line_ends_stay(tmp_path: Path) -> None:
    path = tmp_path / "net.mnet"
    path.write_bytes(b"mnet 1\r\nmodel\r\n")
    source = read_source(path)
    assert source.position(source.text.index("model")) == (2, 1)
    assert source.line_text(1) == "mnet 1"


def test_a_folder_stands_for_the_one_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "net.mnet").write_text(TEXT)
    assert read_source(tmp_path).path == str(tmp_path / "net.mnet")
    (tmp_path / "other.mnet").write_text(TEXT)
    diagnostic = refused(tmp_path)
    assert diagnostic.code == "MN0904"
    assert "net.mnet, other.mnet" in diagnostic.help[0]


def test_a_misspelt_name_gets_the_nearest_file(tmp_path: Path) -> None:
    (tmp_path / "person.mnet").write_text(TEXT)
    diagnostic = refused(tmp_path / "persn.mnet")
    assert diagnostic.code == "MN0901"
    assert diagnostic.help == (f"did you mean `{tmp_path / 'person.mnet'}`?",)


@pytest.mark.parametrize(
    ("data", "code", "part"),
    [
        (b"mnet 1\nmodel \xff", "MN0905", "byte 0xff at offset 13, line 2"),
        (b"mnet 1\n\0", "MN0905", "NUL"),
        (b" \n\t\n", "MN0906", "empty"),
        (b"", "MN0906", "empty"),
        (b"#" * (MAX_BYTES + 1), "MN0903", "larger than 256 KiB"),
    ],
    ids=["not UTF-8", "NUL", "blank", "empty", "too large"],
)
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes, code: str, part: str) -> None:
    path = tmp_path / "net.mnet"
    path.write_bytes(data)
    diagnostic = refused(path)
    assert diagnostic.code == code
    assert part in diagnostic.message
