"""`mnet evaluate` as users and scripts see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mnetdsl
from mnetdsl import evaluate as package
from mnetdsl.cli.main import main
from mnetdsl.evaluate import read_saved
from mnetdsl.evaluate.saved import partial_path
from mnetdsl.images import load_input
from tests.toolchain import require

TEXT = """mnet 1

model tiny(classes: int = 4) {
  input image: u8[8, 8, 3] { color = rgb, mean = 127.5, std = 127.5 }
  x = relu6(conv2d(image, 6, kernel = 3, stride = 2))
  output logits = dense(global_avg_pool(x), classes)
}
"""
COUNT = 18

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network, images of its size, and labels that it is right about on two of three."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.mnet").write_text(TEXT)
    (tmp_path / "photos").mkdir()
    network = mnetdsl.load("net.mnet").with_weights("random:1")
    rng = np.random.default_rng(0)
    rows = ["file,class_4,class_5,name"]
    for index in range(COUNT):
        pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"photos/{index}.png")
        found = int(np.argmax(network.run({"image": pixels[None]})["logits"]))
        right = found if index % 3 else (found + 1) % 4
        rows.append(f"{index}.png,{right},{right + 1},thing {right}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str, weights: str = "random:1") -> tuple[int, str, str]:
        how = ["--weights", weights, "--data", "photos", "--labels", "labels.csv", "--topk", "1,4"]
        code = main(["evaluate", "net.mnet", *how, *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def test_accuracy_has_its_interval_and_the_confusions(run: Run) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    assert "18 images, classes of `class_4`" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["top-1", "66.7", "%", "43.7", "to", "83.7", "12", "of", "18"] in lines
    assert "top-4   100.0 %" in out
    assert "thing" in out


def test_json_and_c_say_the_same(run: Run) -> None:
    require("gcc")
    numpy_report, c_report = (json.loads(run("--on", on, "--format", "json")[1]) for on in ("numpy", "c"))
    assert numpy_report["top"][0]["right"] == 12
    assert c_report["top"] == numpy_report["top"]
    assert c_report["confusions"] == numpy_report["confusions"]


def test_skip_and_limit_take_a_part(run: Run) -> None:
    report = json.loads(run("--skip", "3", "--limit", "6", "--format", "json")[1])
    assert (report["images"], report["top"][0]["right"]) == (6, 4)


def test_logits_are_saved_and_a_finished_evaluation_is_not_repeated(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--output", "logits.npz")[0] == 0
    saved = read_saved(folder / "logits.npz")
    assert (saved.logits.shape, bool(saved.done.all())) == ((COUNT, 4), True)
    assert not partial_path(folder / "logits.npz").exists()
    monkeypatch.setattr(package, "load_input", lambda *_: pytest.fail("an image was read again"))
    code, out, _ = run("--output", "logits.npz", "--resume")
    assert code == 0
    assert "12 of 18" in out


def test_an_interrupted_evaluation_continues_where_it_was(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def interrupted(path: Path, *rest: Any) -> object:
        read.append(Path(path).name)
        if Path(path).name == "13.png" and "13.png" not in read[:-1]:
            raise KeyboardInterrupt
        return load_input(path, *rest)

    monkeypatch.setattr(package, "load_input", interrupted)
    monkeypatch.setattr(package, "_workers", lambda on: 1)
    assert run("--output", "logits.npz")[0] == 130
    begun = read_saved(partial_path(folder / "logits.npz"))
    assert 0 < begun.done.sum() < COUNT
    assert not (folder / "logits.npz").exists()
    read.clear()
    read.append("13.png")
    code, out, _ = run("--output", "logits.npz", "--resume")
    assert (code, "12 of 18" in out) == (0, True)
    assert len(read) - 1 == COUNT - int(begun.done.sum())


def test_another_evaluation_is_not_resumed(run: Run) -> None:
    assert run("--output", "logits.npz")[0] == 0
    code, _, err = run("--output", "logits.npz", "--resume", weights="random:2")
    assert code == 1
    assert "MN1605" in err


def test_a_comparison_goes_image_by_image(run: Run) -> None:
    assert run("--output", "one.npz")[0] == 0
    code, out, _ = run("--compare", "one.npz", weights="random:2")
    assert code == 0
    assert "beside one.npz" in out
    report = json.loads(run("--compare", "one.npz", "--format", "json")[1])["compare"]
    assert (report["both"], report["only_this"], report["only_other"], report["agree"]) == (12, 0, 0, COUNT)
    assert report["differing"] == []
    assert run("--limit", "5", "--output", "few.npz")[0] == 0
    assert "MN1607" in run("--compare", "few.npz")[2]


def test_a_comparison_names_the_images_that_differ(run: Run) -> None:
    assert run("--output", "one.npz")[0] == 0
    with np.load("one.npz") as saved:
        arrays = {name: saved[name] for name in saved.files}
    arrays["logits"][3] = np.roll(arrays["logits"][3], 1)
    np.savez("other.npz", **arrays)
    shown = json.loads(run("--compare", "other.npz", "--format", "json")[1])["compare"]
    ours = int(np.argmax(np.roll(arrays["logits"][3], -1)))
    assert [(item["image"], item["this"], item["other"]) for item in shown["differing"]] == [
        ("3.png", ours, int(np.argmax(arrays["logits"][3])))
    ]
    assert "3.png" in run("--compare", "other.npz")[1].splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--label-column", "klass_4"), "MN1601"),
        (("--label-column", "class_5"), "MN1602"),
        (("--skip", "18"), "MN1606"),
        (("--set", "classes=3"), "MN1601"),
        (("--compare", "labels.npz"), "MN0901"),
        (("--labels", "lables.csv"), "MN0901"),
        (("--data", "phtos"), "MN0901"),
        (("--data", "labels.csv"), "MN0901"),
        (("--labels", "photos/7.png"), "MN1601"),
    ],
)
def test_wrong_input_has_its_own_message(run: Run, arguments: tuple[str, ...], code: str) -> None:
    exit_code, _, err = run(*arguments)
    assert exit_code == 1
    assert f"error[{code}]" in err
    assert "Traceback" not in err


def test_a_missing_image_is_named(run: Run, folder: Path) -> None:
    (folder / "photos" / "7.png").unlink()
    code, _, err = run()
    assert code == 1
    assert "7.png" in err
    assert "MN0901" in err
    assert "the label file names it" in err


def test_a_label_file_that_is_no_text_is_not_printed(run: Run) -> None:
    _, _, err = run("--labels", "photos/7.png")
    assert "this is no text" in err
    assert err.isascii()


def test_a_folder_of_images_that_is_not_there_has_a_suggestion(run: Run) -> None:
    assert "did you mean `photos`?" in run("--data", "phtos")[2]


def test_images_of_another_size_keep_their_middle(folder: Path) -> None:
    """The frame around the middle 7/8 has no influence."""
    port = mnetdsl.load("net.mnet").module.graph.inputs[0]
    from mnetdsl.images import Resize

    pixels = np.full((32, 32, 3), 100, np.uint8)
    pixels[:2] = pixels[-2:] = 255
    pixels[:, :2] = pixels[:, -2:] = 0
    Image.fromarray(pixels).save("framed.png")
    for resize in (Resize.CROP, Resize.STRETCH):
        assert set(np.unique(load_input("framed.png", port, resize, 0.875))) == {100}
        assert len(np.unique(load_input("framed.png", port, resize))) > 1


def test_a_network_that_is_no_classifier_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "map.mnet").write_text(TEXT.replace("dense(global_avg_pool(x), classes)", "conv2d(x, classes)"))
    how = ["--weights", "random:1", "--data", "photos", "--labels", "labels.csv"]
    assert main(["evaluate", "map.mnet", *how]) == 1
    assert "MN1603" in capsys.readouterr().err


DETECTOR = """a = conv2d(x, 4) as boxes
  b = conv2d(x, 5) as scores
  output places = reshape(a, [16, 4])
  output kinds = reshape(b, [16, 5])"""


@pytest.mark.parametrize(
    ("outputs", "said"), [(DETECTOR, "a detector"), ("output map = conv2d(x, 21) as a", "a segmentation")]
)
def test_detectors_and_segmentations_are_told_how_they_are_measured(
    folder: Path, capsys: pytest.CaptureFixture[str], outputs: str, said: str
) -> None:
    (folder / "map.mnet").write_text(TEXT.replace("output logits = dense(global_avg_pool(x), classes)", outputs))
    how = ["--weights", "random:1", "--data", "photos", "--labels", "labels.csv"]
    assert main(["evaluate", "map.mnet", *how]) == 1
    message = capsys.readouterr().err
    assert message.count("error[") == message.count("MN1603") == 1
    assert f"it looks like {said}" in message
