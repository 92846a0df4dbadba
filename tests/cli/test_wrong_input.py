"""Every line of wrong input through the real process: one clear message, the right exit code, no partial output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnetdsl.weights import load_weights, save_weights
from tests.cli.conftest import NETWORK
from tests.cli.process import COMMAND, environment, mnet, refused


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Network files ---------------------------------------------------------------------------------------------------


def test_an_unknown_file_suggests_one(folder: Path) -> None:
    for command in ("check", "summary"):
        message = refused(mnet(command, "tinny.mnet", cwd=folder), "MN0901")
        assert "tiny.mnet" in message
    assert "mobilenet_v2" in refused(mnet("summary", "mobilenet_v9", cwd=folder), "MN0901")


def test_a_missing_file_is_an_object_too_for_what_reads_objects(folder: Path) -> None:
    found = mnet("check", "tinny.mnet", "--format", "json", cwd=folder)
    assert (found.returncode, found.stderr) == (1, "")
    assert [item["code"] for item in json.loads(found.stdout)["diagnostics"]] == ["MN0901"]
    (run,) = json.loads(mnet("check", "tinny.mnet", "--format", "sarif", cwd=folder).stdout)["runs"]
    assert run["results"][0]["ruleId"] == "MN0901"


def test_text_that_is_not_utf8_names_the_byte(folder: Path) -> None:
    (folder / "latin.mnet").write_bytes(b"mnet 1\n# caf\xe9\n")
    message = refused(mnet("check", "latin.mnet", cwd=folder), "MN0905")
    assert "0xe9" in message
    assert "line 2" in message or ":2" in message


def test_a_folder_stands_for_its_one_network(folder: Path) -> None:
    assert mnet("check", folder).returncode == 0
    (folder / "second.mnet").write_text(NETWORK)
    assert "second.mnet" in refused(mnet("check", folder), "MN0904")
    (folder / "empty").mkdir()
    refused(mnet("check", folder / "empty"), "MN0904")


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
def test_an_empty_file_says_so(folder: Path, content: bytes) -> None:
    (folder / "empty.mnet").write_bytes(content)
    refused(mnet("check", "empty.mnet", cwd=folder), "MN0906")


def test_a_file_of_a_hundred_megabytes_is_refused_at_once(folder: Path) -> None:
    with (folder / "huge.mnet").open("wb") as file:
        file.truncate(100_000_000)
    refused(mnet("check", "huge.mnet", cwd=folder), "MN0903")


@pytest.mark.parametrize(
    "text",
    [
        "mnet 1\nmodel m() {\n  x = " + "(" * 20_000 + "1" + ")" * 20_000 + "\n}\n",
        "mnet 1\nmodel m() {\n  x = " + "[" * 20_000 + "\n}\n",
        "mnet 1\nmodel m() {\n  x = " + "-" * 20_000 + "1\n}\n",
        "mnet 1\nmodel m() {\n" + "if true {\n" * 5_000 + "}\n" * 5_000 + "}\n",
        "mnet 1\nmodel m() {\n  x = " + " + ".join(["1"] * 20_000) + "\n}\n",
        "mnet 1\nblock b(x: tensor) {\n  return b(x)\n}\nmodel m() {\n  input i: f32[2, 2, 1]\n  output y = b(i)\n}\n",
    ],
)
def test_nesting_without_end_is_no_crash(folder: Path, text: str) -> None:
    (folder / "deep.mnet").write_text(text)
    result = mnet("check", "deep.mnet", cwd=folder)
    assert result.returncode in (0, 1)
    assert "internal error" not in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("error[") == (1 if result.returncode else 0)


def test_windows_line_ends_and_a_byte_order_mark_are_fine(folder: Path) -> None:
    (folder / "windows.mnet").write_bytes(b"\xef\xbb\xbf" + NETWORK.replace("\n", "\r\n").encode())
    good = mnet("summary", "windows.mnet", "--format", "json", cwd=folder)
    assert good.returncode == 0, good.stderr
    assert good.stdout == mnet("summary", "tiny.mnet", "--format", "json", cwd=folder).stdout.replace(
        "tiny.mnet", "windows.mnet"
    )
    wrong = NETWORK.replace("stride = 2", "stride = wide").replace("\n", "\r\n").encode()
    (folder / "windows.mnet").write_bytes(b"\xef\xbb\xbf" + wrong)
    message = refused(mnet("check", "windows.mnet", cwd=folder), "MN0201")
    assert "windows.mnet:8:46" in message
    assert "\r" not in message


def test_an_unknown_parameter_and_a_wrong_value_point_at_the_model(folder: Path) -> None:
    assert "did you mean `classes`" in refused(mnet("summary", "tiny.mnet", "--set", "clases=3", cwd=folder), "MN0315")
    assert "tiny.mnet:6" in refused(mnet("summary", "tiny.mnet", "--set", "classes=wide", cwd=folder), "MN0301")


# Weights ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def compile_with(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Compiles `tiny.mnet` with weights, to a folder that must not appear when that fails."""

    def run(weights: str, *more: str) -> subprocess.CompletedProcess[str]:
        before = listing(folder)
        result = mnet(
            "compile", "tiny.mnet", "--weights", weights, "--target", "host-c", "-o", "out", *more, cwd=folder
        )
        if result.returncode:
            assert listing(folder) == before
        return result

    return run


def arrays() -> dict[str, np.ndarray]:
    from mnetdsl.sema import build
    from mnetdsl.source import SourceFile

    return {
        name: array.copy()
        for name, array in load_weights(build(SourceFile("tiny.mnet", NETWORK)).module, "random:1").items()
    }


def test_weights_that_are_not_given_are_asked_for(folder: Path) -> None:
    for command in (["run", "--input", "a.png"], ["compile", "--target", "host-c", "-o", "out"]):
        message = refused(mnet(command[0], "tiny.mnet", *command[1:], cwd=folder), "MN0701")
        assert "random:1" in message
    assert not (folder / "out").exists()


def test_a_weight_file_that_is_not_there_may_be_made_up_where_that_means_something(folder: Path) -> None:
    given = ("tiny.mnet", "--weights", "gone.npz")
    for command in (["run", "--input", "a.png"], ["compile", "--target", "host-c", "-o", "out"], ["validate"]):
        assert "random:1" in refused(mnet(command[0], *given, *command[1:], cwd=folder), "MN0901")
    for command in (["quantize", "--calibrate", ".", "-o", "out"], ["export", "--to", "onnx", "-o", "out"]):
        assert "random:1" not in refused(mnet(command[0], *given, *command[1:], cwd=folder), "MN0901")
    assert not (folder / "out").exists()


def test_truncated_weights(folder: Path, compile_with: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    save_weights(folder / "w.safetensors", arrays())
    data = (folder / "w.safetensors").read_bytes()
    (folder / "w.safetensors").write_bytes(data[:-10])
    assert "w.safetensors" in refused(compile_with("w.safetensors"), "MN0708")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(
    folder: Path, compile_with: Callable[..., subprocess.CompletedProcess[str]], value: float
) -> None:
    weights = arrays()
    weights["stem.conv.weight"][0, 1, 2, 3] = value
    save_weights(folder / "w.npz", weights)
    assert f"stem.conv.weight  {value} at [0, 1, 2, 3]" in refused(compile_with("w.npz"), "MN0706")


def test_weights_of_another_element_type(
    folder: Path, compile_with: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    weights = arrays()
    weights["stem.conv.weight"] = weights["stem.conv.weight"].astype(np.int8)
    save_weights(folder / "w.safetensors", weights)
    assert "stem.conv.weight  I8" in refused(compile_with("w.safetensors"), "MN0705")


def test_weights_of_another_network(
    folder: Path, compile_with: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    weights = arrays()
    weights["head.bias"] = weights.pop("stem.norm.bias")
    weights["spare"] = np.zeros(2, np.float32)
    weights["stem.conv.weight"] = weights["stem.conv.weight"].transpose(3, 2, 0, 1)
    save_weights(folder / "w.npz", weights)
    refused(compile_with("w.npz"), "MN0702", "MN0703", "MN0704")


def test_rounded_weights_are_a_warning(folder: Path) -> None:
    save_weights(folder / "w.npz", {name: array.astype(np.float64) for name, array in arrays().items()})
    result = mnet("run", "tiny.mnet", "--weights", "w.npz", "--input", "a.png", cwd=folder)
    assert result.returncode == 0
    assert result.stderr.startswith("warning[MN0712]")


@pytest.mark.parametrize(("weights", "code"), [("missing.npz", "MN0901"), ("a.png", "MN0709"), (".", "MN0904")])
def test_weights_that_are_none(
    compile_with: Callable[..., subprocess.CompletedProcess[str]], weights: str, code: str
) -> None:
    refused(compile_with(weights), code)


def test_a_seed_that_is_none_is_a_mistake_of_the_command_line(
    compile_with: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    refused(compile_with("random:x"), "MN0711", exit_code=2)


# Images ----------------------------------------------------------------------------------------------------------


def run_on(folder: Path, *inputs: str) -> subprocess.CompletedProcess[str]:
    options = [part for name in inputs for part in ("--input", name)]
    return mnet("run", "tiny.mnet", "--weights", "random:1", *options, "--output", "out.npy", cwd=folder)


def test_images_that_do_not_fit(folder: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(folder / "size.png")
    Image.fromarray(pixels).save(folder / "alpha.png")
    Image.fromarray(pixels[..., 0]).save(folder / "gray.png")
    data = (folder / "a.png").read_bytes()
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    np.save(folder / "double.npy", np.zeros((8, 8, 3)))
    for name, code in (
        ("size.png", "MN0802"),
        ("alpha.png", "MN0803"),
        ("gray.png", "MN0804"),
        ("cut.png", "MN0805"),
        ("double.npy", "MN0807"),
        ("tiny.mnet", "MN0801"),
        ("missing.png", "MN0901"),
    ):
        assert name in refused(run_on(folder, name), code)
        assert not (folder / "out.npy").exists()


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("imag=a.png", "did you mean `--input image=a.png`?"),
        ("nope=random:1", "inputs: image"),
        ("random", "`random:1`"),
        ("random:one", "`random:1`"),
    ],
)
def test_an_input_that_is_none_says_what_there_is(folder: Path, given: str, hint: str) -> None:
    message = refused(run_on(folder, given), "MN1403", exit_code=2)
    assert given in message
    assert hint in message


def test_an_image_may_be_called_as_an_input_is_given(folder: Path) -> None:
    (folder / "a.png").rename(folder / "size=8.png")
    assert run_on(folder, "size=8.png").returncode == 0


# Outputs ---------------------------------------------------------------------------------------------------------


def test_an_output_folder_that_is_a_file(folder: Path) -> None:
    for out in ("tiny.mnet", "tiny.mnet/deep"):
        result = mnet("compile", "tiny.mnet", "--weights", "random:1", "--target", "host-c", "-o", out, cwd=folder)
        refused(result, "MN0909")
    assert (folder / "tiny.mnet").read_text() == NETWORK


@pytest.mark.parametrize("place", ["/proc/out", "/sys/out"])
def test_an_output_folder_that_may_not_be_written(folder: Path, place: str) -> None:
    """Not even root may make folders there."""
    result = mnet("compile", "tiny.mnet", "--weights", "random:1", "--target", "host-c", "-o", place, cwd=folder)
    assert result.returncode == 1
    message = refused(result, "MN0907" if "MN0907" in result.stderr else "MN0909")
    assert place in message


def test_an_output_file_that_cannot_be_written(folder: Path) -> None:
    for output, code in (("missing/out.npy", "MN0909"), ("tiny.mnet/out.npy", "MN0909")):
        result = mnet("run", "tiny.mnet", "--weights", "random:1", "--input", "a.png", "--output", output, cwd=folder)
        refused(result, code)


def test_a_full_disk_leaves_nothing(folder: Path) -> None:
    """The limit on the size of a file fails as a full disk does, in the same place."""
    before = listing(folder)
    compile = ("compile", "tiny.mnet", "--weights", "random:1", "--target", "host-c", "-o", "out")
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 1; trap "" XFSZ; exec "$@"', "bash", *COMMAND, *compile],
        cwd=folder,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    refused(limited, "MN0908")
    assert listing(folder) == before


def test_new_does_not_overwrite(folder: Path) -> None:
    refused(mnet("new", "tiny.mnet", "--from", "mobilenet_v1", cwd=folder), "MN0910")
    assert (folder / "tiny.mnet").read_text() == NETWORK
    assert mnet("new", "tiny.mnet", "--from", "mobilenet_v1", "--force", cwd=folder).returncode == 0
    assert "mobilenet_v1" in (folder / "tiny.mnet").read_text()


# Ctrl-C ----------------------------------------------------------------------------------------------------------


def interrupted(process: subprocess.Popen[str], number: int = signal.SIGINT) -> tuple[int, str, str]:
    """Signals the whole group, as a terminal does."""
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command that Ctrl-C reaches, also where the tests run in the background, whose shell has it ignored."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize(
    ("number", "code", "message"), [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "")]
)
def test_an_interrupt_while_weights_are_read(folder: Path, number: int, code: int, message: str) -> None:
    os.mkfifo(folder / "w.safetensors")
    before = listing(folder)
    process = started(folder, "compile", "tiny.mnet", "--weights", "w.safetensors", "--target", "host-c", "-o", "out")
    with (folder / "w.safetensors").open("wb"):  # opens once the command has begun to read
        assert interrupted(process, number) == (code, "", message)
    assert listing(folder) == before


def test_an_interrupt_while_another_compiler_runs(folder: Path) -> None:
    before = listing(folder)
    process = started(
        folder, "compile", "mobilenet_v2", "--weights", "random:1", "--target", "iree-cpu", "-o", "out/deep"
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while not (process.poll() is None and children.read_text().strip()):
        assert time.monotonic() < deadline, "no compiler was started"
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    (child,) = children.read_text().split()
    code, out, err = interrupted(process)
    assert (code, out, err.splitlines()[-1]) == (130, "", "interrupted")
    assert "Traceback" not in err
    assert listing(folder) == before
    assert not Path(f"/proc/{child}").exists()
