"""What may lie in a calibration folder, and what is said of anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mnetdsl
from mnetdsl.diagnostics import MnetError
from mnetdsl.quantize.pictures import Pictures
from tests.quantize.networks import network, pictures, save_pictures

TWO_INPUTS = """mnet 1

model net() {
  input left: f32[4]
  input right: f32[4]
  output sum = left + right
}
"""


def code(folder: Path, photos: Path, skip: int = 0) -> tuple[str, str]:
    with pytest.raises(MnetError) as caught:
        Pictures(photos, skip=skip).read(network(folder / "net").module)
    return caught.value.diagnostics[0].code, caught.value.diagnostics[0].message


def test_images_come_by_name_and_in_batches(tmp_path: Path) -> None:
    photos = save_pictures(tmp_path / "photos", 6)
    (photos / "labels.csv").write_text("file,class\n")
    found = Pictures(photos, skip=1).read(network(tmp_path / "net").module)
    assert [path.name for path in found.files] == ["001.png", "002.png", "003.png", "004.png", "005.png"]
    assert found.images == 5
    assert np.array_equal(found.batches[0][0], pictures(6)[1][0])


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert code(tmp_path, tmp_path / "nothing") == ("MN1806", "there is no such folder")
    photos = save_pictures(tmp_path / "photos", 1)
    assert code(tmp_path, photos / "000.png") == ("MN1806", "this is a file, and not a folder of images")


def test_folders_below_are_named_when_there_is_nothing_else(tmp_path: Path) -> None:
    save_pictures(tmp_path / "photos", 1)
    found, message = code(tmp_path, tmp_path)
    assert found == "MN1806"
    assert "such as net, which are not entered" in message
    assert Pictures(f"{tmp_path}/*/*.png").read(network(tmp_path / "net").module).images == 1


@pytest.mark.parametrize(("data", "expected"), [(b"hello", "MN0801"), (b"", "MN0805")])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, data: bytes, expected: str) -> None:
    photos = save_pictures(tmp_path / "photos", 2)
    (photos / "odd.png").write_bytes(data)
    assert code(tmp_path, photos)[0] == expected


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    message = "there are no images to calibrate with: the folder is empty"
    assert code(tmp_path, tmp_path / "photos") == ("MN1806", message)


def test_a_folder_of_other_files_is_said(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("none")
    assert "notes.txt" in code(tmp_path, tmp_path / "photos")[1]


def test_a_pattern_takes_the_files_that_fit_it(tmp_path: Path) -> None:
    photos = save_pictures(tmp_path / "photos", 12)
    module = network(tmp_path / "net").module
    by_pattern = Pictures("../photos/00*.png", beside=tmp_path / "net").read(module)
    assert [path.name for path in by_pattern.files] == [f"{index:03}.png" for index in range(10)]
    assert Pictures(f"{photos}/**/01*.png").read(module).images == 2


def test_a_pattern_that_nothing_fits_is_said(tmp_path: Path) -> None:
    photos = save_pictures(tmp_path / "photos", 1)
    assert "no file fits the pattern" in code(tmp_path, photos / "*.jpg")[1]


def test_files_that_are_no_images_are_counted(tmp_path: Path) -> None:
    photos = save_pictures(tmp_path / "photos", 2)
    for name in ("labels.csv", "licence.txt", ".hidden"):
        (photos / name).write_text("")
    assert Pictures(photos).read(network(tmp_path / "net").module).left_out == 2


def test_skipping_all_images_is_said(tmp_path: Path) -> None:
    assert code(tmp_path, save_pictures(tmp_path / "photos", 2), skip=2)[0] == "MN1806"


def test_arrays_among_images_are_refused(tmp_path: Path) -> None:
    photos = save_pictures(tmp_path / "photos", 2)
    np.save(photos / "logits.npy", np.zeros(3))
    found, message = code(tmp_path, photos)
    assert found == "MN1807"
    assert message == "2 images and 1 array, such as logits.npy, lie together"


@pytest.mark.parametrize(("mode", "said"), [("L", "grayscale"), ("CMYK", "CMYK")])
def test_images_of_other_colors_are_refused(tmp_path: Path, mode: str, said: str) -> None:
    photos = save_pictures(tmp_path / "photos", 1)
    Image.new(mode, (24, 24)).save(photos / "odd.jpg")
    found, message = code(tmp_path, photos)
    assert found == "MN0804"
    assert said in message


def test_a_network_of_two_inputs_has_no_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "net.mnet").write_text(TWO_INPUTS)
    with pytest.raises(MnetError) as caught:
        mnetdsl.load(tmp_path / "net.mnet").quantize([np.zeros((1, 4), np.float32)])
    assert caught.value.diagnostics[0].code == "MN1808"
