"""Damaged and hostile weight files: one message, nothing executed, no memory exhausted."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Module
from mnetdsl.weights import load_weights, npz, safetensors, save_weights
from tests.weights.conftest import Arrays

HEADER = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


def container(header: object, body: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(**changes: object) -> bytes:
    return container({"a": {**HEADER["a"], **changes}})


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"", "empty"),
        (b"\x10\0\0", "only 3 bytes"),
        (struct.pack("<Q", 1 << 60), "header claims"),
        (struct.pack("<Q", 100) + b"{}", "only 2 follow"),
        (container(b"\xff\xfe{}"), "not JSON"),
        (container(b"{" * 50), "not JSON"),
        (container(b"[" * 200_000), "not JSON"),
        (container(b"1" * 9000), "not JSON"),
        (container([1, 2]), "no JSON object"),
        (container({"a": 3}), "no description"),
        (entry(dtype=7), "dtype and shape"),
        (entry(shape=[-2]), "dtype and shape"),
        (entry(shape=[2.0]), "dtype and shape"),
        (entry(shape=[True, 2]), "dtype and shape"),
        (entry(shape="2"), "dtype and shape"),
        (entry(data_offsets=[0]), "data_offsets"),
        (entry(data_offsets=[0, None]), "data_offsets"),
        (entry(data_offsets=[8, 0]), "lies at bytes"),
        (entry(data_offsets=[0, 9]), "lies at bytes"),
        (entry(data_offsets=[0, 10**30]), "lies at bytes"),
        (entry(shape=[3]), "cannot have 8 bytes"),
        (entry(shape=[2**62, 2**62]), "cannot have 8 bytes"),
        (entry(data_offsets=[0, 4], shape=[1]), "belong to no tensor"),
        (container({**HEADER, "b": HEADER["a"]}), "overlap"),
        (container(b'{"a":%s,"a":%s}' % ((json.dumps(HEADER["a"]).encode(),) * 2)), "stands twice"),
    ],
)
def test_damaged_safetensors_are_explained(data: bytes, hint: str) -> None:
    with pytest.raises(MnetError) as failure:
        safetensors.read_entries(data, "net.safetensors")
    (diagnostic,) = failure.value.diagnostics
    assert diagnostic.code == "MN0708"
    assert diagnostic.location == "net.safetensors"
    assert hint in diagnostic.message


def test_every_truncation_of_a_file_is_refused(module: Module, weights: Arrays, tmp_path: Path) -> None:
    for suffix in (".safetensors", ".npz"):
        whole = tmp_path / f"net{suffix}"
        save_weights(whole, weights)
        data = whole.read_bytes()
        cut = tmp_path / f"cut{suffix}"
        for length in (0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 1):
            cut.write_bytes(data[:length])
            with pytest.raises(MnetError) as failure:
                load_weights(module, cut)
            assert [problem.code for problem in failure.value.diagnostics] == ["MN0708"]


def test_an_element_type_of_another_version_of_the_format_is_refused(module: Module, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(entry(dtype="F4"))
    with pytest.raises(MnetError) as failure:
        load_weights(module, path)
    assert [problem.code for problem in failure.value.diagnostics] == ["MN0708"]


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return (Path.touch, (Path("executed"),))


def test_pickled_objects_are_refused_and_not_executed(
    module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.npz"
    np.savez(path, allow_pickle=True, **{"stem.conv.weight": np.array([Bomb()], dtype=object)})
    with pytest.raises(MnetError) as failure:
        load_weights(module, path)
    assert failure.value.diagnostics[0].code == "MN0710"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(MnetError) as failure:
        load_weights(module, path)
    assert failure.value.diagnostics[0].code == "MN0708"
    assert not (tmp_path / "executed").exists()


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members:
            file.writestr(name, data)
    return buffer.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 not a zip",
        archive(("a.txt", b"hello")),
        archive(("a.npy", b"hello")),
        archive(("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", bytes(8)))),
        archive(("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", bytes(8)))),
        archive(("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10**12,), }"))),
        archive(("a.npy", npy("__import__('os').system('touch executed')", bytes(8)))),
        archive(("a.npy", npy("{'descr': '<f4'}", bytes(8)))),
        archive(("a.npy", npy(" " * 20_000, bytes(8)))),
    ],
)
def test_damaged_archives_are_explained(data: bytes) -> None:
    with pytest.raises(MnetError) as failure:
        npz.read_entries(data, "net.npz")
    assert [problem.code for problem in failure.value.diagnostics] == ["MN0708"]


def test_a_name_that_stands_twice_is_refused() -> None:
    array = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes(8))
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = archive(("a.npy", array), ("a.npy", array))
    with pytest.raises(MnetError, match="stands twice"):
        npz.read_entries(data, "net.npz")


def test_a_damaged_array_fails_its_checksum(module: Module, weights: Arrays, tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    save_weights(path, weights)
    data = bytearray(path.read_bytes())
    place = data.find(weights["stem.conv.weight"].tobytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(MnetError, match="MN0708"):
        load_weights(module, path)


def test_a_bomb_is_never_expanded(module: Module, tmp_path: Path) -> None:
    """A quarter of a gigabyte of zeros: its shape does not fit, so its data is not touched."""
    size = 1 << 26
    header = npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({size},), }}")
    path = tmp_path / "net.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("stem.conv.weight.npy", "w") as member:
        member.write(header)
        for _ in range(size * 4 // (1 << 24)):
            member.write(bytes(1 << 24))
    tracemalloc.start()
    with pytest.raises(MnetError) as failure:
        load_weights(module, path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {problem.code for problem in failure.value.diagnostics} == {"MN0702", "MN0704"}
    assert peak < 8 << 20


CONTENTS = {kind: kind.to_bytes({"a": np.ones((3, 4), np.float32), "b": np.ones(5)}) for kind in (safetensors, npz)}


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from((safetensors, npz)), data=st.data())
def test_any_damage_gives_arrays_or_a_diagnostic(kind: ModuleType, data: st.DataObject) -> None:
    content = bytearray(CONTENTS[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    codes = []
    try:
        for item in kind.read_entries(bytes(content), "net").values():
            if item.read is not None:
                item.read()
    except MnetError as problem:
        codes = [diagnostic.code for diagnostic in problem.diagnostics]
    assert codes in ([], ["MN0708"], ["MN0710"])
