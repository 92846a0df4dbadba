"""Module and manifest: made, written, read back, and refused when damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mnetdsl.backends.iree.manifest import Manifest
from mnetdsl.backends.iree.package import IreePackage, generate, read_package
from mnetdsl.backends.iree.processor import lacking, recorded
from mnetdsl.backends.iree.runner import PackageRunner
from mnetdsl.backends.iree.versions import IREE_VERSION
from mnetdsl.backends.targets import check_threads
from mnetdsl.diagnostics import MnetError
from mnetdsl.interpreter import run
from tests.backends.iree.cases.maker import CaseMaker
from tests.backends.iree.harness import inputs_of, small_module


@pytest.fixture(scope="module")
def package() -> IreePackage:
    return generate(small_module(), "net", "iree-cpu")


@pytest.fixture
def written(package: IreePackage, tmp_path: Path) -> Path:
    for name, data in package.files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path / "net.vmfb"


def refused_code(path: Path) -> str:
    with pytest.raises(MnetError) as refused:
        read_package(path)
    (diagnostic,) = refused.value.diagnostics
    return diagnostic.code


def test_a_package_that_was_written_runs(written: Path) -> None:
    module = small_module()
    inputs = inputs_of(module, batch=2)
    results = PackageRunner(read_package(written)).run(inputs)
    expected = run(module, inputs)["logits"].astype(np.float32)
    np.testing.assert_allclose(results["logits"].astype(np.float32), expected, rtol=1e-5, atol=1e-5)


def test_the_manifest_says_how_to_call_the_module(package: IreePackage) -> None:
    content = json.loads(package.files["net.json"])
    assert content["iree"] == IREE_VERSION
    assert content["target"] == "iree-cpu"
    assert content["inputs"] == [{"name": "in0", "shape": [1, 4, 4, 3], "element": "ui8", "attributes": {}}]
    assert content["outputs"] == [{"name": "logits", "shape": [1, 4], "element": "f32", "attributes": {}}]
    assert "--iree-llvmcpu-target-cpu=host" in content["flags"]
    assert Manifest.from_json(package.files["net.json"]) == package.manifest


def test_the_same_module_gives_the_same_bytes_without_paths(package: IreePackage, tmp_path: Path) -> None:
    again = generate(small_module(), "net", "iree-cpu")
    assert again.files == package.files
    assert str(Path.cwd()).encode() not in package.vmfb
    assert str(Path(__file__).parents[3]).encode() not in b"".join(package.files.values())


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_module_is_refused_before_it_runs(written: Path, damage: str) -> None:
    data = bytearray(written.read_bytes())
    match damage:
        case "cut":
            data = data[: len(data) // 2]
        case "flipped":
            data[len(data) // 2] ^= 0xFF
        case "empty":
            data = bytearray()
    written.write_bytes(data)
    assert refused_code(written) == "MN1224"


@pytest.mark.parametrize(
    "manifest",
    [b"", b"[]", b"{}", b'{"format": 99}', b"\xff\xfe", b'{"format": 1, "name": "net"}', b"null", b"[" * 9999],
)
def test_what_is_no_manifest_is_refused(written: Path, manifest: bytes) -> None:
    written.with_suffix(".json").write_bytes(manifest)
    assert refused_code(written) == "MN1224"


def test_a_module_of_another_version_is_refused(written: Path, package: IreePackage) -> None:
    old = replace(package.manifest, iree="3.1.0")
    written.with_suffix(".json").write_bytes(old.to_json())
    assert refused_code(written) == "MN1221"


def test_a_module_for_another_processor_is_refused_before_it_meets_an_unknown_instruction(
    package: IreePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor\t: 0\nflags\t\t: fpu sse2 avx2 fma avx512_bf16\n")
    assert lacking(("avx2", "avx512f", "avx512bf16", "amx-tile"), listing) == ["avx512f", "amx-tile"]
    assert lacking(("avx2",), tmp_path / "nothing") == []
    listing.write_text("Features\t: fp asimd\n")
    assert lacking(("avx2",), listing) == [], "a system that lists in another way says nothing"
    assert recorded({"avx2", "fma", "sse2", "64bit"}) == ("avx2", "fma")

    if not lacking(["avx1024"]):
        return  # this system does not list features as Linux does on x86
    other = replace(package.manifest, features=(*package.manifest.features, "avx1024"))
    with pytest.raises(MnetError) as refused:
        PackageRunner(IreePackage(other, package.vmfb))
    (message,) = refused.value.diagnostics
    assert message.code == "MN1224"
    assert "avx1024" in message.message


def test_files_that_are_not_there_are_named(written: Path) -> None:
    assert refused_code(written.with_name("other.vmfb")) == "MN0901"
    written.with_suffix(".json").unlink()
    assert refused_code(written) == "MN0901"


@pytest.mark.parametrize("vmfb", [b"", b"no module at all", b"PK\x03\x04" + bytes(4096)])
def test_what_the_runtime_cannot_load_is_a_message(package: IreePackage, vmfb: bytes) -> None:
    with pytest.raises(MnetError) as refused:
        PackageRunner(IreePackage(package.manifest, vmfb))
    assert refused.value.diagnostics[0].code == "MN1224"


def test_inputs_that_do_not_fit_are_refused(package: IreePackage) -> None:
    runner = PackageRunner(package)
    fitting = np.zeros((1, 4, 4, 3), np.uint8)
    for wrong in ({}, {"in0": fitting, "in1": fitting}):
        with pytest.raises(MnetError, match="MN0620"):
            runner.run(wrong)
    for array in (fitting[0], fitting[:0], fitting.astype(np.float32), np.zeros((1, 5, 4, 3), np.uint8)):
        with pytest.raises(MnetError, match="MN0621"):
            runner.run({"in0": array})


@pytest.mark.parametrize("target", ["iree-cpu", "iree-cpu:riscv64", "iree-vulkan"])
def test_a_network_without_layers_has_nothing_to_say_about_kernels(target: str) -> None:
    maker = CaseMaker("net")
    maker.output(maker.fresh(4), "same")
    assert generate(maker.module, "net", target).roads == ()


def test_the_manifest_says_for_how_many_threads_a_module_was_arranged(package: IreePackage) -> None:
    assert package.manifest.threads is None
    arranged = generate(small_module(), "net", "iree-cpu", threads=2)
    assert Manifest.from_json(arranged.files["net.json"]).threads == 2


@pytest.mark.parametrize("target", ["host-c", "cortex-m4", "iree-vulkan"])
def test_threads_mean_nothing_for_other_targets(target: str) -> None:
    with pytest.raises(MnetError) as refused:
        check_threads(target, 2)
    assert refused.value.diagnostics[0].code == "MN2006"
    check_threads(target, None)
    check_threads("iree-cpu:aarch64", 4)
