"""Checkpoints made to do harm: nothing in them runs, nothing expands without measure, each gets its message."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnetdsl.diagnostics import MnetError
from mnetdsl.importers import import_checkpoint
from mnetdsl.importers.checkpoint import read_checkpoint
from mnetdsl.importers.pickles import Call, DangerousPickle, PickleError, read_pickle
from tests.importers.checkpoints import Global, Pth, keras_v1, pth, write_h5, write_keras

SMALL = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.zeros(2, np.float32)}


def code(path: Path) -> str:
    with pytest.raises(MnetError) as problem:
        import_checkpoint(path)
    (diagnostic,) = problem.value.diagnostics
    return diagnostic.code


def saved(tmp_path: Path, data: bytes, name: str = "net.pth") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("subprocess", "Popen"), ("__builtin__", "exec")],
)
def test_a_pickle_that_calls_the_shell_runs_nothing(tmp_path: Path, module: str, name: str) -> None:
    trace = tmp_path / "trace"
    path = saved(tmp_path, pth({"state_dict": SMALL, "evil": Global(module, name, (f"touch {trace}",))}))
    assert code(path) == "MN1505"
    assert not trace.exists()


class _Reduces:
    """What `pickle.dumps` itself makes of an attack."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        import os

        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_protocol_of_pickle_calls_anything(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    data = pickle.dumps({"x": _Reduces(f"touch {trace}")}, protocol)
    with pytest.raises((DangerousPickle, PickleError)):
        read_pickle(data)
    assert not trace.exists()


def test_unknown_objects_beside_the_weights_are_left_as_they_are(tmp_path: Path) -> None:
    wrapper = {"args": Global("argparse", "Namespace"), "rng": Global("my_module", "Explodes", (1,)), "model": SMALL}
    checkpoint = read_checkpoint(saved(tmp_path, pth(wrapper)))
    assert list(checkpoint.entries) == ["a.weight", "a.bias"]
    assert "my_module" not in sys.modules


def test_a_call_is_data() -> None:
    call = read_pickle(b"\x80\x02cshop\nbuy\n(K\x01tR.")
    assert isinstance(call, Call)
    assert (call.function.text, call.arguments) == ("shop.buy", (1,))


def test_a_truncated_archive_is_damaged(tmp_path: Path) -> None:
    data = pth(SMALL)
    for length in (0, 10, len(data) // 2, len(data) - 1):
        assert code(saved(tmp_path, data[:length])) == "MN1502"


def test_an_encrypted_archive_says_so(tmp_path: Path) -> None:
    data = bytearray(pth(SMALL))
    place = data.index(b"PK\x01\x02")
    while place >= 0:
        data[place + 8] |= 1  # the flag of encryption, in the central directory
        place = data.find(b"PK\x01\x02", place + 4)
    assert code(saved(tmp_path, bytes(data))) == "MN1503"


def test_a_zip_bomb_is_not_expanded(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"\x00" * 200_000_000)
    assert code(saved(tmp_path, buffer.getvalue())) == "MN1504"
    assert code(saved(tmp_path, buffer.getvalue(), "net.keras")) == "MN1504"


def test_an_hdf5_bomb_is_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        for index in range(4):
            file.create_dataset(f"model_weights/l{index}/kernel:0", (1 << 30,), "f4", chunks=(1 << 20,), fillvalue=1.0)
    assert path.stat().st_size < 1_000_000
    assert code(path) == "MN1504"


def test_an_hdf5_file_reaches_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel"] = np.zeros(3, np.float32)
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        file["model_weights/a/a/kernel"] = np.zeros(3, np.float32)
        file["model_weights/b/kernel"] = h5py.ExternalLink("secret.h5", "/kernel")
        file["model_weights/loop"] = h5py.SoftLink("/model_weights")
    assert list(read_checkpoint(path).entries) == ["a.weight"]


def test_a_tensor_beyond_its_storage_is_damage(tmp_path: Path) -> None:
    for offset, shape, strides in [(1, (2, 3), (3, 1)), (0, (2, 3), (1000, 1)), (0, (9,), (0,)), (6, (1,), (1,))]:
        writer = Pth()
        writer.storages.append(bytes(24))
        tensor = writer.rebuilt("FloatStorage", "0", 6, offset, shape, strides)
        pickled = b"\x80\x02}(" + writer.emit("w.weight") + tensor + b"u."
        assert code(saved(tmp_path, writer.archive(pickled))) == "MN1502"


def test_transposed_storage_is_read_in_the_right_order(tmp_path: Path) -> None:
    writer = Pth()
    writer.storages.append(np.arange(6, dtype=np.float32).tobytes())
    tensor = writer.rebuilt("FloatStorage", "0", 6, 0, (3, 2), (1, 3))
    pickled = b"\x80\x02}(" + writer.emit("w.weight") + tensor + b"u."
    entry = read_checkpoint(saved(tmp_path, writer.archive(pickled))).entries["w.weight"]
    assert entry.read is not None
    np.testing.assert_array_equal(entry.read(), np.arange(6, dtype=np.float32).reshape(2, 3).T)


def test_older_formats_and_programs_say_what_to_do(tmp_path: Path) -> None:
    assert code(saved(tmp_path, pickle.dumps(0x1950A86A20F9469CFC6C, 2))) == "MN1501"
    writer = Pth()
    program = writer.archive(writer.pickle(SMALL), {"net/code/__torch__.py": b"def forward(self): ..."})
    assert code(saved(tmp_path, program)) == "MN1501"
    assert code(saved(tmp_path, b"TFL3", "net.tflite")) == "MN1501"


def test_a_pickled_module_and_an_empty_file_have_no_tensors(tmp_path: Path) -> None:
    assert code(saved(tmp_path, pth(Global("torchvision.models", "MobileNetV2")))) == "MN1506"
    assert code(saved(tmp_path, pth({"epoch": 3}))) == "MN1506"
    path = saved(tmp_path, pth({"model": SMALL}))
    with pytest.raises(MnetError, match="MN1506"):
        import_checkpoint(path, key="ema")


def test_a_quantized_network_says_so(tmp_path: Path) -> None:
    quantized = {**SMALL, "c.weight": Global("torch._utils", "_rebuild_qtensor", (1, 2))}
    assert code(saved(tmp_path, pth(quantized))) == "MN1501"
    assert code(saved(tmp_path, pth({**SMALL, "fc._packed_params.dtype": None}))) == "MN1501"


def test_a_circle_of_containers_ends(tmp_path: Path) -> None:
    circle = b"\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s."
    assert code(saved(tmp_path, Pth().archive(circle))) == "MN1506"


def test_damaged_keras_files(tmp_path: Path) -> None:
    data = write_h5(tmp_path / "whole.h5", keras_v1()).read_bytes()
    for length in (0, 5, 100, len(data) // 2):
        assert code(saved(tmp_path, data[:length], "cut.h5")) == "MN1502"
    data = write_keras(tmp_path / "whole.keras", keras_v1()).read_bytes()
    assert code(saved(tmp_path, data[: len(data) // 2], "cut.keras")) == "MN1502"


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_h5(tmp_path / "net.h5", keras_v1())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MnetError, match="MN1511"):
        import_checkpoint(path)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_change_of_bytes_makes_anything_but_a_diagnostic(tmp_path: Path, data: st.DataObject) -> None:
    writer = Pth()
    pickled = bytearray(writer.pickle({"state_dict": SMALL, "epoch": 3}))
    for _ in range(data.draw(st.integers(1, 4))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    path = saved(tmp_path, writer.archive(bytes(pickled)))
    codes: set[str] = set()
    try:
        for entry in read_checkpoint(path).entries.values():
            if entry.read is not None:
                entry.read()
    except MnetError as problem:
        codes = {diagnostic.code[:4] for diagnostic in problem.diagnostics}
    assert codes <= {"MN15"}


def test_a_number_of_members_without_end_is_refused(tmp_path: Path) -> None:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 0xFFFFFF, 0, 0)
    assert code(saved(tmp_path, b"PK\x03\x04" + end)) == "MN1502"
