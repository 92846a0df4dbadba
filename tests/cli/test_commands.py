"""What the commands print and write when all is well."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mnetdsl
from mnetdsl.api import zoo
from mnetdsl.backends.runners import RUNNERS
from mnetdsl.backends.targets import TARGETS
from mnetdsl.cli.options import parse_value
from mnetdsl.sema.values import Activation, Symbol
from tests.cli.process import mnet, refused
from tests.toolchain import require

TWO_INPUTS = """mnet 1

model two() {
  input left: u8[4, 4, 1]
  input right: f32[6]
  output map = relu(left)
  output scores = dense(right, 3)
}
"""


def printed(*arguments: str | Path, cwd: Path | None = None) -> str:
    result = mnet(*arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("64K", 65536),
        ("1M", 1 << 20),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1e-3", 1e-3),
        ("-2.5E2", -250.0),
        ("true", True),
        ("false", False),
        ('"quoted text"', "quoted text"),
        ("plain text", "plain text"),
        ("relu6", Activation("relu6")),
        ("same", Symbol("same")),
        ("[1, 2.5, true]", (1, 2.5, True)),
        ("[]", ()),
        ("0,5", "0,5"),
        ("1.5K", "1.5K"),
    ],
)
def test_values_are_written_as_in_the_language(text: str, value: object) -> None:
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("name", zoo())
def test_new_copies_a_network_as_it_stands(tmp_path: Path, name: str) -> None:
    result = mnet("new", "mine.mnet", "--from", name, cwd=tmp_path)
    assert result.returncode == 0
    assert (tmp_path / "mine.mnet").read_bytes() == zoo()[name].read_bytes()
    assert b"///" in (tmp_path / "mine.mnet").read_bytes()
    assert mnet("check", "mine.mnet", cwd=tmp_path).returncode == 0
    assert mnet("fmt", "--check", "mine.mnet", cwd=tmp_path).returncode == 0


def test_new_adds_the_suffix(tmp_path: Path) -> None:
    assert mnet("new", "mine", "--from", "mobilenet_v1", cwd=tmp_path).returncode == 0
    assert (tmp_path / "mine.mnet").is_file()


def test_new_suggests_a_network(tmp_path: Path) -> None:
    message = refused(mnet("new", "x.mnet", "--from", "mobilnet_v2", cwd=tmp_path), "MN1402", exit_code=2)
    assert "did you mean `mobilenet_v2`?" in message
    assert "mobilenet_v1" in message
    assert list(tmp_path.iterdir()) == []


def test_summary_for_people() -> None:
    text = printed("summary", "mobilenet_v2")
    lines = text.splitlines()
    assert lines[0] == "mobilenet_v2"
    assert "  input image: u8[224, 224, 3]" in lines
    assert "  output logits: f32[1000]" in lines
    stem = next(line for line in lines if line.startswith("stem.conv "))
    assert stem.split() == ["stem.conv", "conv2d", "batch_norm", "relu6", "112x112x32", "928", "10,838,016"]
    assert "3,504,872 parameters, 300.77 M multiply-accumulates" in text
    plan = mnetdsl.load("mobilenet_v2").plan()
    assert f"{plan.arena_bytes:,} bytes of RAM as portable C (at least {plan.lower_bound:,})" in text


def test_summary_for_scripts() -> None:
    found = json.loads(printed("summary", "mobilenet_v2", "--set", "alpha=0.5", "--format", "json"))
    network = mnetdsl.load("mobilenet_v2", alpha=0.5)
    assert found["total"]["parameters"] == network.summary().parameters
    assert found["total"]["macs"] == network.summary().macs
    assert {"name", "op", "shape", "parameters", "macs"} <= found["layers"][0].keys()
    assert found["memory"]["arena_bytes"] == network.plan().arena_bytes
    assert sum(layer["macs"] for layer in found["layers"]) == found["total"]["macs"]


def test_targets_lists_targets_and_backends() -> None:
    text = printed("targets")
    assert all(name in text for name in (*TARGETS, *RUNNERS))
    assert {target["name"] for target in json.loads(printed("targets", "--format", "json"))["targets"]} == set(TARGETS)


def test_an_unknown_target_or_backend_suggests_one(folder: Path) -> None:
    weights = ("--weights", "random:1")
    unknown = mnet("compile", "tiny.mnet", *weights, "--target", "iree-cpus", "-o", "out", cwd=folder)
    assert "iree-cpu" in refused(unknown, "MN1101", exit_code=2)
    unknown = mnet("run", "tiny.mnet", *weights, "--input", "a.png", "--on", "nunpy", cwd=folder)
    assert "numpy" in refused(unknown, "MN1102", exit_code=2)
    assert not (folder / "out").exists()


def test_run_prints_the_best_classes_with_their_labels(folder: Path) -> None:
    text = printed("run", "tiny.mnet", "--weights", "random:1", "--input", "a.png", "--top", "2", cwd=folder)
    network = mnetdsl.load(folder / "tiny.mnet").with_weights("random:1")
    pixels = np.asarray(Image.open(folder / "a.png"))[np.newaxis]
    (logits,) = network.run({"image": pixels})["logits"]
    first, second = np.argsort(-logits)[:2]
    labels = ("cat", "dog", "cow", "owl")
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["a.png"]
    assert [line[1:] for line in lines[1:]] == [[str(first), labels[first]], [str(second), labels[second]]]
    assert float(lines[1][0]) == pytest.approx(logits[first], rel=1e-5)


def test_several_images_are_a_batch_and_outputs_are_saved(folder: Path) -> None:
    np.save(folder / "two.npy", np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8))
    inputs = ("--input", "a.png", "--input", "two.npy", "--input", "image=random:3")
    options = ("--weights", "random:1", *inputs, "--output", "out.npy", "--format", "json")
    found = json.loads(printed("run", "tiny.mnet", *options, cwd=folder))
    assert found["inputs"] == ["a.png", "two.npy[0]", "two.npy[1]", "random:3"]
    saved = np.load(folder / "out.npy")
    assert saved.shape == (4, 4)
    for row, best in zip(saved, found["outputs"]["logits"]["top"], strict=True):
        assert [entry["class"] for entry in best] == list(np.argsort(-row))
        assert [entry["value"] for entry in best] == pytest.approx(sorted(row, reverse=True))
        assert best[0]["label"] in ("cat", "dog", "cow", "owl")


def test_images_of_another_size_are_resized_on_request(folder: Path) -> None:
    Image.new("RGB", (40, 20), (255, 0, 0)).save(folder / "wide.png")
    for how in ("crop", "pad", "stretch"):
        options = ("--weights", "random:1", "--input", "wide.png", "--resize", how)
        assert "wide.png" in printed("run", "tiny.mnet", *options, cwd=folder)


def test_networks_with_several_inputs_and_outputs(folder: Path) -> None:
    (folder / "two.mnet").write_text(TWO_INPUTS)
    np.save(folder / "right.npy", np.ones(6, np.float32))
    run = ("run", "two.mnet", "--weights", "random:1")
    inputs = ("--input", "right=right.npy", "--input", "left=random:1")
    found = json.loads(printed(*run, *inputs, "--format", "json", "--output", "out.npz", cwd=folder))
    assert found["outputs"]["map"]["shape"] == [1, 4, 4, 1]
    assert found["outputs"]["map"]["max"] <= 255
    with np.load(folder / "out.npz") as saved:
        assert {name: saved[name].shape for name in saved.files} == {"map": (1, 4, 4, 1), "scores": (1, 3)}
    text = printed(*run, *inputs, cwd=folder)
    assert "4x4x1 float32" in text
    for wrong, hint in (
        (("--input", "right.npy"), "NAME=right.npy"),
        (("--input", "right=right.npy"), "`left` is not given"),
        ((*inputs, "--input", "left=random:2"), "left 2, right 1"),
    ):
        assert hint in refused(mnet(*run, *wrong, cwd=folder), "MN1403", exit_code=2)
    for one in ("out.npy", "out.bin"):
        refused(mnet(*run, *inputs, "--output", one, cwd=folder), "MN1401", exit_code=2)


SEGMENTS = """mnet 1

model segments() {
  input image: u8[8, 8, 3] { mean = 127.5, std = 127.5 }
  x = conv2d(image, 3) as scores
  output classes = argmax(x) { labels = ["sky", "road", "car"] }
  output best = argmax(global_avg_pool(x)) { labels = ["sky", "road", "car"] }
}
"""


def test_indices_of_classes_are_counted_and_named(folder: Path) -> None:
    (folder / "segments.mnet").write_text(SEGMENTS)
    run = ("run", "segments.mnet", "--weights", "random:1", "--input", "a.png")
    printed(*run, "--output", "out.npz", cwd=folder)
    with np.load(folder / "out.npz") as saved:
        classes, best = saved["classes"][0], int(saved["best"][0])
    counts = {index: int((classes == index).sum()) for index in np.unique(classes).tolist()}
    first = max(counts, key=lambda index: counts[index])
    names = ("sky", "road", "car")
    lines = printed(*run, cwd=folder).splitlines()
    assert lines[1] == f"  8x8 of {len(counts)} classes"
    assert lines[2].split() == [f"{100 * counts[first] / 64:.2f}", "%", str(first), names[first]]
    assert lines[-1].split() == ["class", str(best), names[best]]
    found = json.loads(printed(*run, "--format", "json", cwd=folder))["outputs"]
    assert {entry["class"]: entry["count"] for entry in found["classes"]["classes"][0]} == counts
    assert found["best"]["classes"] == [[{"class": best, "label": names[best], "count": 1}]]
    printed("compile", "segments.mnet", "--weights", "random:1", "--target", "host-c", "-o", "c", cwd=folder)
    assert "Class names of output classes, whose elements are their numbers" in (folder / "c/segments.h").read_text()
    ports = json.loads((folder / "c/manifest.json").read_text())["outputs"]
    assert [(port["type"], port["labels"]) for port in ports] == [("int32_t", list(names))] * 2


def test_saved_inputs_are_what_the_main_of_generated_c_reads(folder: Path) -> None:
    require("gcc")
    weights = ("tiny.mnet", "--weights", "random:1")
    saved = ("--save-inputs", "raw", "--output", "raw/expected.bin")
    printed("run", *weights, "--input", "a.png", *saved, cwd=folder)
    printed("compile", *weights, "--target", "host-c", "-o", "c", cwd=folder)
    subprocess.run(["make", "-s", "-C", "c"], cwd=folder, check=True)
    subprocess.run(["c/tiny_main", "raw/image.bin", "raw/logits.bin"], cwd=folder, check=True)
    found, expected = (np.fromfile(folder / "raw" / name, "<f4") for name in ("logits.bin", "expected.bin"))
    assert expected.shape == (4,)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    printed("run", *weights, "--input", "a.png", "--input", "random:1", "--save-inputs", "both", cwd=folder)
    assert sorted(path.name for path in (folder / "both").iterdir()) == ["image_0.bin", "image_1.bin"]
    assert (folder / "both" / "image_0.bin").read_bytes() == (folder / "raw" / "image.bin").read_bytes()


@pytest.mark.parametrize(
    ("target", "files"), [("host-c", {"tiny.c", "tiny.h", "Makefile"}), ("iree-cpu", {"tiny.vmfb", "tiny.json"})]
)
def test_compile_writes_the_same_bytes_everywhere(folder: Path, target: str, files: set[str]) -> None:
    compile = ("compile", "tiny.mnet", "--weights", "random:1", "--target", target)
    text = printed(*compile, "-o", "deep/out", cwd=folder)
    written = {path.name: path.read_bytes() for path in (folder / "deep" / "out").iterdir()}
    assert files <= written.keys()
    for name, data in written.items():
        assert f"{len(data):,}" in next(line for line in text.splitlines() if line.startswith(f"{name} "))
    other = folder / "elsewhere"
    other.mkdir()
    shutil.copy(folder / "tiny.mnet", other)
    again = mnet(*compile, "-o", "out", "--format", "json", cwd=other, PYTHONHASHSEED="7", LC_ALL="C")
    found = json.loads(again.stdout)
    assert {entry["name"]: entry["bytes"] for entry in found["files"]} == {n: len(d) for n, d in written.items()}
    assert {path.name: path.read_bytes() for path in (other / "out").iterdir()} == written
    if target == "host-c":
        assert found["arena"]["bytes"] >= found["arena"]["lower_bound"] > 0
        assert f"arena {found['arena']['bytes']:,} bytes" in text


def test_weights_of_a_deployment_are_found_beside_the_file(folder: Path) -> None:
    from mnetdsl.weights import load_weights, save_weights

    network = mnetdsl.load(folder / "tiny.mnet")
    save_weights(folder / "tiny.safetensors", load_weights(network.module, "random:5"))
    with (folder / "tiny.mnet").open("a") as file:
        file.write('\ndeploy shipped of tiny() {\n  weights = "tiny.safetensors"\n}\n')
    named = printed("run", "tiny.mnet", "--weights", "random:5", "--input", "a.png", cwd=folder)
    assert printed("run", folder / "tiny.mnet", "--input", "a.png", cwd=folder) == named


def test_an_unknown_code_is_a_mistake_of_the_command_line(tmp_path: Path) -> None:
    refused(mnet("explain", "MN9999", cwd=tmp_path), "MN1402", exit_code=2)


def test_one_target_shows_memories_flags_and_sources() -> None:
    text = printed("targets", "stm32h743")
    for words in ("AXI SRAM", "0x24000000", "524,288", "-mcpu=cortex-m7", "DS12110"):
        assert words in text
    (described,) = json.loads(printed("targets", "stm32h743", "--format", "json"))["targets"]
    assert described["largest_ram"] == 512 * 1024
    assert described["core"]["dsp"] is True


def test_c_is_packed_for_a_build_system_and_a_module_is_not(folder: Path) -> None:
    command = ("compile", "tiny.mnet", "--weights", "random:1", "-o", "out")
    assert "arena" in printed(*command, "--target", "cortex_m4", "--package", "cmake", cwd=folder)
    assert {"CMakeLists.txt", "toolchain.cmake", "README.md"} <= {path.name for path in (folder / "out").iterdir()}
    assert "mcpu=cortex-m4" in (folder / "out" / "toolchain.cmake").read_text()
    refused(mnet(*command, "--target", "host-c", "--package", "make", cwd=folder), "MN1106", exit_code=2)
    refused(mnet(*command, "--target", "iree-cpu", "--package", "cmake", cwd=folder), "MN1106", exit_code=2)
