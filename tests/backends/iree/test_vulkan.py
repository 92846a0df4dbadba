"""Vulkan that is missing or dies, and the process between it and us."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl.backends.iree.compiler import compiler_path
from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.package import IreePackage, generate
from mnetdsl.backends.iree.remote import RemoteSession
from mnetdsl.backends.iree.runner import PackageRunner
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.backends.iree.wire import arrays_of, receive, send_arrays
from mnetdsl.diagnostics import Diagnostic, MnetError
from tests.backends.iree.harness import all_operations, inputs_of, require_target, small_module


@pytest.fixture(scope="module")
def package() -> IreePackage:
    return generate(small_module(), "net", "iree-vulkan")


@pytest.mark.parametrize("name", ["iree-vulkan", "iree-vulkan:simt"])
def test_a_module_keeps_to_one_queue_and_the_host_waits_once(name: str) -> None:
    """On two queues that wait for each other, IREE loses devices of Mesa now and then; each wait takes milliseconds."""
    target = TARGETS[name]
    text = emit(all_operations(), device=target.device, simt=True, simt_kernels=target.simt_kernels).text
    command = [str(compiler_path()), "-", "-o", "-", "--compile-to=hal", *target.flags]
    scheduled = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    queues = re.findall(r"hal\.device\.queue\.\w+.*?affinity\((%\S+)\)", scheduled)
    first = re.findall(r"(%\S+) = arith.constant 1 : i64", scheduled)
    assert len(queues) > 5
    assert set(queues) <= set(first)
    main = scheduled[scheduled.index("util.func public @main") :]
    assert main.count("hal.fence.await") == 1


@pytest.mark.parametrize("target", ["iree-vulkan", "iree-vulkan:linalg"])
def test_remarks_say_that_linalg_runs_all_of_a_network_in_float(target: str) -> None:
    road, shaders = map(str, generate(small_module(), "net", target).remarks())
    assert f"small runs on linalg, since `{target}` leaves it to IREE; `iree-vulkan:simt` has" in road
    assert shaders.startswith("shaders: ")


def refusal(package: IreePackage) -> Diagnostic:
    with pytest.raises(MnetError) as refused:
        PackageRunner(package)
    (diagnostic,) = refused.value.diagnostics
    return diagnostic


def test_a_missing_loader_names_the_package(
    package: IreePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("libvulkan.so.1", "libvulkan.so"):
        (tmp_path / name).write_text("hides the installed one")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    diagnostic = refusal(package)
    assert diagnostic.code == "MN1226"
    assert "loader" in diagnostic.message
    assert "mesa-vulkan-drivers" in diagnostic.help[0]
    assert "libvulkan1" in diagnostic.help[0]


def test_a_missing_driver_names_the_package(package: IreePackage, monkeypatch: pytest.MonkeyPatch) -> None:
    require_target("iree-vulkan")
    for variable in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES"):
        monkeypatch.setenv(variable, "/nowhere/driver.json")
    diagnostic = refusal(package)
    assert diagnostic.code == "MN1226"
    assert "no device" in diagnostic.message
    assert "mesa-vulkan-drivers" in diagnostic.help[0]


def test_a_driver_that_crashes_takes_only_its_own_process(package: IreePackage) -> None:
    require_target("iree-vulkan")
    runner = PackageRunner(package)
    inputs = inputs_of(small_module(), batch=1)
    assert runner.run(inputs)["logits"].shape == (1, 4)
    session = runner._session
    assert isinstance(session, RemoteSession)
    session._process.kill()
    with pytest.raises(MnetError) as refused:
        runner.run(inputs)
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == "MN1227"
    assert "SIGKILL" in diagnostic.message


def test_the_process_ends_with_its_runner(package: IreePackage) -> None:
    require_target("iree-vulkan")
    runner = PackageRunner(package)
    session = runner._session
    assert isinstance(session, RemoteSession)
    process = session._process
    assert process.poll() is None
    del runner, session
    assert process.wait(10.0) == 0


def test_arrays_cross_the_pipe_unchanged() -> None:
    stream = io.BytesIO()
    sent: list[NDArray[Any]] = [
        np.arange(6, dtype=np.uint8).reshape(1, 2, 3),
        np.array([[np.nan, -0.0]], np.float32),
        np.zeros((2, 0), np.int64),
    ]
    send_arrays(stream, {"outputs": []}, sent)
    stream.seek(0)
    header, blobs = receive(stream)
    assert header["outputs"] == []
    for array, original in zip(arrays_of(header, blobs), sent, strict=True):
        assert (array.shape, array.dtype, array.tobytes()) == (original.shape, original.dtype, original.tobytes())
    with pytest.raises(EOFError):
        receive(stream)
