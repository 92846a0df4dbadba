"""Modules for other processors: compiled here, run under emulation, refused with one message where that cannot be."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mnetdsl
from mnetdsl.backends.iree import runner
from mnetdsl.backends.iree.emulated import ALIASES, command_of, is_foreign
from mnetdsl.backends.iree.kernels.machine import features_of, isa_of
from mnetdsl.backends.iree.package import generate
from mnetdsl.backends.iree.runner import PackageRunner
from mnetdsl.backends.iree.session import SessionError
from mnetdsl.backends.iree.targets import TARGETS
from mnetdsl.backends.runners import make_runner
from mnetdsl.backends.targets import check_target
from mnetdsl.backends.targets import generate as compile_for
from mnetdsl.diagnostics import ExitCode, MnetError
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module
from mnetdsl.passes.context import Remark
from mnetdsl.sema import check_text
from mnetdsl.targets import HOSTS
from tests.backends.iree.harness import inputs_of, small_module
from tests.backends.iree.kernels.test_layers import random_layers
from tests.backends.iree.quantized.cases import CASES
from tests.backends.iree.quantized.test_operations import module_of

CROSS = [name for name, target in TARGETS.items() if target.architecture]
SETS = {
    "iree-cpu:aarch64": "neon",
    "iree-cpu:aarch64-dotprod": "neon",
    "iree-cpu:riscv64": None,
    "iree-cpu:x86-64-v3": "avx2",
    "iree-cpu:x86-64-v4": "avx512",
}
"""Which row of the kernels' table serves a target."""
HERE = ALIASES.get(platform.machine().lower(), platform.machine().lower())


def test_every_target_of_this_backend_can_be_asked_for() -> None:
    assert set(TARGETS) == {name for name in HOSTS if name.startswith("iree")}
    assert set(CROSS) == set(SETS)


@pytest.mark.parametrize("target", CROSS)
def test_a_module_is_compiled_with_the_kernels_of_its_processor(target: str) -> None:
    said: list[Remark] = []
    files = compile_for(small_module(), target, remark=said.append)
    isa = isa_of(TARGETS[target])
    assert (isa and isa.name) == SETS[target]
    manifest = json.loads(files["small.json"])
    assert manifest["target"] == target
    assert not any("host" in flag for flag in manifest["flags"])
    assert files == compile_for(small_module(), target)
    if isa is None:
        (remark,) = said
        assert "small runs on linalg" in str(remark)
        assert "none of the instruction sets with own kernels: avx512, avx2, neon" in str(remark)
    else:
        assert any(remark.applied for remark in said)


def test_dot_products_are_a_feature_of_the_target_that_says_so() -> None:
    assert "dotprod" in features_of(TARGETS["iree-cpu:aarch64-dotprod"].flags)
    assert "dotprod" not in features_of(TARGETS["iree-cpu:aarch64"].flags)


def test_a_target_is_written_with_underscores_in_the_language() -> None:
    assert check_target("IREE_CPU_aarch64") == "iree-cpu:aarch64"
    text = "mnet 1\nmodel net() {\n  input x: f32[4]\n  output y = relu(x)\n}\ndeploy d of net { target %s { } }\n"
    assert not check_text(text % "iree_cpu_x86_64_v3", "net.mnet")
    (wrong,) = check_text(text % "iree_cpu_x86_64_v5", "net.mnet")
    assert "iree_cpu_x86_64_v" in str(wrong)


def test_an_unknown_processor_is_refused_with_those_that_exist() -> None:
    with pytest.raises(MnetError) as refused:
        check_target("iree-cpu:aarch46")
    (message,) = refused.value.diagnostics
    assert message.code == "MN1101"
    assert "did you mean `iree-cpu:aarch64`?" in str(message.help)
    assert refused.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("known", "unknown", "said"),
    [("cpu=x86-64-v3", "cpu=pentium-9", "failed"), ("x86_64-unknown-linux-gnu", "z80-unknown-none", "crashed")],
)
def test_a_processor_that_the_compiler_does_not_know_is_one_message(
    known: str, unknown: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnetdsl.backends.iree.compiler.tempfile.tempdir", str(tmp_path))
    target = TARGETS["iree-cpu:x86-64-v3"]
    flags = tuple(flag.replace(known, unknown) for flag in target.flags)
    monkeypatch.setitem(TARGETS, target.name, replace(target, flags=flags))
    with pytest.raises(MnetError) as refused:
        generate(small_module(), "net", target.name)
    (message,) = refused.value.diagnostics
    assert message.code == "MN1223"
    assert said in message.message
    assert message.location is not None
    assert Path(message.location).read_text().startswith("#loc"), "the reproducer is kept"


def refusal(architecture: str) -> str:
    with pytest.raises(MnetError) as refused:
        command_of(architecture)
    (message,) = refused.value.diagnostics
    assert message.code == "MN1228"
    return str(message.help)


def test_all_that_an_emulation_lacks_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnetdsl.backends.iree.emulated.shutil.which", lambda name: None)
    monkeypatch.delenv("MNET_IREE_AARCH64", raising=False)
    message = refusal("aarch64")
    assert "apt-get install qemu-user-static" in message
    assert "pip install --target DIR" in message
    monkeypatch.setenv("MNET_IREE_AARCH64", str(tmp_path))
    assert "export MNET_IREE_AARCH64" in refusal("aarch64"), "a folder without the runtime is as good as none"


def test_a_processor_without_a_runtime_is_compiled_for_but_not_run() -> None:
    package = generate(small_module(), "net", "iree-cpu:riscv64")
    with pytest.raises(MnetError) as refused:
        PackageRunner(package)
    assert refused.value.diagnostics[0].code == "MN1228"


def test_what_is_foreign_depends_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnetdsl.backends.iree.emulated.platform.machine", lambda: "arm64")
    assert not is_foreign("aarch64")
    assert is_foreign("x86_64")
    assert not is_foreign(None)


@pytest.mark.skipif(HERE != "x86_64", reason="runs x86-64 modules")
def test_a_process_that_meets_an_unknown_instruction_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended:
        def __init__(self, *arguments: object) -> None:
            raise SessionError("died", "SIGILL")

    monkeypatch.setattr(runner, "RemoteSession", Ended)
    with pytest.raises(MnetError) as refused:
        PackageRunner(generate(small_module(), "net", "iree-cpu:x86-64-v3"))
    (message,) = refused.value.diagnostics
    assert message.code == "MN1227"
    assert "lacks instructions" in str(message.help)


@pytest.mark.skipif(HERE != "x86_64", reason="runs x86-64 modules")
def test_a_module_for_older_processors_of_this_architecture_runs_here() -> None:
    module = small_module()
    inputs = inputs_of(module, 2)
    got = make_runner("iree-cpu:x86-64-v3", module).run(inputs)["logits"].astype(np.float32)
    np.testing.assert_allclose(got, run(module, inputs)["logits"].astype(np.float32), rtol=1e-5, atol=1e-5)


def differences(module: Module, target: str) -> dict[str, float]:
    """Of each output, as a fraction of its largest magnitude."""
    inputs = inputs_of(module, 1)
    results = make_runner(target, module).run(inputs)
    return {
        name: float(np.abs(results[name] - expected).max() / max(float(np.abs(expected).max()), 1e-30))
        for name, expected in run(module, inputs).items()
    }


@pytest.mark.slow
@pytest.mark.usefixtures("aarch64")
@pytest.mark.parametrize("seed", [30, 31])
def test_random_layers_agree_on_aarch64(seed: int) -> None:
    assert max(differences(random_layers(seed, count=32), "iree-cpu:aarch64").values()) < 1e-5


@pytest.mark.slow
@pytest.mark.usefixtures("aarch64")
@pytest.mark.parametrize(
    "network", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v4_conv_small", "mobilenet_edgetpu"]
)
def test_networks_agree_on_aarch64(network: str) -> None:
    module = mnetdsl.load(network, resolution=128).with_weights("random:1").optimized()
    assert max(differences(module, "iree-cpu:aarch64").values()) < 1e-5


@pytest.mark.slow
@pytest.mark.usefixtures("aarch64")
def test_attention_agrees_on_aarch64() -> None:
    module = mnetdsl.load("mobilenet_v4_hybrid_medium").with_weights("random:1").optimized()
    assert max(differences(module, "iree-cpu:aarch64").values()) < 1e-4


@pytest.mark.slow
@pytest.mark.usefixtures("aarch64")
@pytest.mark.parametrize("target", ["iree-cpu:aarch64", "iree-cpu:aarch64-dotprod"])
def test_stored_integers_have_the_interpreters_bits_on_aarch64(target: str) -> None:
    module = module_of(CASES)
    inputs = inputs_of(module, batch=1)
    results = make_runner(target, module).run(inputs)
    wrong = {name for name, expected in run(module, inputs).items() if (results[name] != expected).any()}
    assert wrong == set()


@pytest.mark.slow
@pytest.mark.usefixtures("aarch64")
def test_what_the_emulated_runtime_refuses_is_a_message() -> None:
    package = generate(small_module(), "net", "iree-cpu:aarch64")
    broken = PackageRunner(replace(package, vmfb=b"no module"))
    with pytest.raises(MnetError) as refused:
        broken.run({"in0": np.zeros((1, 4, 4, 3), np.uint8)})
    assert refused.value.diagnostics[0].code == "MN1227"
