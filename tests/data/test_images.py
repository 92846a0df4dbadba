"""Images and arrays as inputs: exact where they fit, one message where they do not."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.images import Resize, load_input, random_input, save_output
from mnetdsl.ir.core import Port, Value
from mnetdsl.ir.types import ElementType, TensorType

Pixels = NDArray[np.uint8]


def port(*shape: int, element: ElementType = ElementType.U8, color: str | None = "rgb") -> Port:
    attributes: dict[str, str] = {} if color is None else {"color": color}
    return Port("image", Value(TensorType((1, *shape), element)), dict(attributes))


@pytest.fixture
def pixels() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(path: Path, pixels: Pixels, mode: str | None = None, **options: Any) -> Path:
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def refused(path: Path, port: Port, resize: Resize = Resize.NONE) -> Diagnostic:
    with pytest.raises(MnetError) as failure:
        load_input(path, port, resize)
    (diagnostic,) = failure.value.diagnostics
    assert diagnostic.location == str(path)
    assert diagnostic.help
    return diagnostic


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tif", "webp"])
def test_pixels_arrive_as_they_are(tmp_path: Path, pixels: Pixels, suffix: str) -> None:
    lossless: dict[str, Any] = {"lossless": True}
    path = saved(tmp_path / f"a.{suffix}", pixels, **(lossless if suffix == "webp" else {}))
    np.testing.assert_array_equal(load_input(path, port(5, 7, 3)), pixels[np.newaxis])


def test_colors_and_element_types_are_those_that_the_input_declares(tmp_path: Path, pixels: Pixels) -> None:
    path = saved(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(load_input(path, port(5, 7, 3, color="bgr"))[0], pixels[..., ::-1])
    signed = load_input(path, port(5, 7, 3, element=ElementType.I8))
    assert signed.dtype == np.int8
    np.testing.assert_array_equal(signed[0], pixels.astype(int) - 128)
    floats = load_input(path, port(5, 7, 3, element=ElementType.F32))
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats[0], pixels)


def test_gray_goes_to_gray(tmp_path: Path, pixels: Pixels) -> None:
    path = saved(tmp_path / "a.png", pixels[..., 0])
    np.testing.assert_array_equal(load_input(path, port(5, 7, 1, color="gray"))[0, ..., 0], pixels[..., 0])


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    flat = np.zeros((5, 7, 3), np.uint8)
    flat[2:] = (255, 0, 0)
    path = saved(tmp_path / "a.gif", flat, "P")
    np.testing.assert_array_equal(load_input(path, port(5, 7, 3))[0], flat)


def test_the_camera_orientation_is_applied(tmp_path: Path, pixels: Pixels) -> None:
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the picture is on the right
    Image.fromarray(pixels).save(path, exif=exif)
    np.testing.assert_array_equal(load_input(path, port(7, 5, 3))[0], np.rot90(pixels, -1))


def test_an_alpha_channel_that_hides_nothing_is_dropped(tmp_path: Path, pixels: Pixels) -> None:
    opaque = np.dstack([pixels, np.full((5, 7), 255, np.uint8)])
    path = saved(tmp_path / "a.png", opaque)
    np.testing.assert_array_equal(load_input(path, port(5, 7, 3))[0], pixels)


def test_transparency_is_refused_wherever_it_stands(tmp_path: Path, pixels: Pixels) -> None:
    alpha = np.full((5, 7), 255, np.uint8)
    alpha[4, 6] = 254
    rgba = saved(tmp_path / "rgba.png", np.dstack([pixels, alpha]))
    assert refused(rgba, port(5, 7, 3)).code == "MN0803"
    gray = saved(tmp_path / "la.png", np.dstack([pixels[..., 0], alpha]))
    assert refused(gray, port(5, 7, 1, color="gray")).code == "MN0803"
    palette = tmp_path / "palette.png"
    Image.fromarray(pixels).convert("P").save(palette, transparency=0)
    Image.open(palette).load()
    flat = Image.new("P", (7, 5), 0)
    flat.save(palette, transparency=0)
    assert refused(palette, port(5, 7, 3)).code == "MN0803"
    color_key = tmp_path / "key.png"
    Image.new("RGB", (7, 5), (1, 2, 3)).save(color_key, transparency=(1, 2, 3))
    assert refused(color_key, port(5, 7, 3)).code == "MN0803"


@pytest.mark.parametrize(
    ("mode", "name", "color", "channels", "word"),
    [
        ("L", "a.png", "rgb", 3, "grayscale"),
        ("RGB", "a.png", "gray", 1, "colored"),
        ("CMYK", "a.jpg", "rgb", 3, "CMYK"),
        ("I;16", "a.png", "gray", 1, "16-bit"),
        ("F", "a.tif", "gray", 1, "16-bit"),
    ],
)
def test_other_colors_are_not_converted_silently(
    tmp_path: Path, pixels: Pixels, mode: str, name: str, color: str, channels: int, word: str
) -> None:
    image = Image.fromarray(pixels).convert("L") if mode in ("I;16", "F") else Image.fromarray(pixels)
    image.convert(mode).save(tmp_path / name)
    problem = refused(tmp_path / name, port(5, 7, channels, color=color))
    assert problem.code == "MN0804"
    assert word in problem.message
    # Without a type, ImageMagick writes an image without color as gray.
    assert ("-type TrueColor" in problem.help[-1]) == (color == "rgb")
    assert "-depth 8" in problem.help[-1]


def test_another_size_names_both_and_the_option(tmp_path: Path, pixels: Pixels) -> None:
    problem = refused(saved(tmp_path / "a.png", pixels), port(7, 5, 3))
    assert problem.code == "MN0802"
    assert "5 high and 7 wide" in problem.message
    assert "7 high and 5 wide" in problem.message
    assert "--resize crop" in problem.help[0]


def test_resizing_stretches_crops_or_pads(tmp_path: Path) -> None:
    """A wide picture, left half black, right half white, for a square input."""
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 8:] = 255
    path = saved(tmp_path / "a.png", wide)
    square = port(8, 8, 3)
    stretched = load_input(path, square, Resize.STRETCH)[0]
    assert (stretched[:, :3] == 0).all()
    assert (stretched[:, 5:] == 255).all()
    cropped = load_input(path, square, Resize.CROP)[0]
    np.testing.assert_array_equal(cropped, wide[:, 4:12])
    padded = load_input(path, square, Resize.PAD)[0]
    assert (padded[:2] == 0).all()
    assert (padded[6:] == 0).all()
    assert (padded[3:5, 5:] == 255).all()


def test_damaged_images_are_explained(tmp_path: Path, pixels: Pixels) -> None:
    big = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for suffix in ("jpg", "png", "webp"):
        path = saved(tmp_path / f"a.{suffix}", big)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert refused(path, port(64, 64, 3)).code == "MN0805"
    (tmp_path / "empty.png").write_bytes(b"")
    assert "empty" in refused(tmp_path / "empty.png", port(5, 7, 3)).message
    (tmp_path / "text.png").write_text("hello")
    assert refused(tmp_path / "text.png", port(5, 7, 3)).code == "MN0801"
    assert refused(tmp_path / "missing.png", port(5, 7, 3)).code == "MN0901"
    assert refused(tmp_path, port(5, 7, 3)).code == "MN0904"


def test_formats_that_run_programs_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.eps"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 7 5\n%%EndComments\nshowpage\n%%EOF\n")
    assert refused(path, port(5, 7, 3)).code == "MN0801"


@pytest.mark.parametrize(("width", "height"), [(11_000, 11_000), (60_000, 60_000)])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, width: int, height: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    assert refused(path, port(5, 7, 3), Resize.CROP).code == "MN0806"


def test_an_input_that_is_no_picture_takes_no_image(tmp_path: Path, pixels: Pixels) -> None:
    path = saved(tmp_path / "a.png", pixels)
    assert refused(path, port(35, color=None)).code == "MN0808"
    assert refused(path, port(5, 7, 4, color=None)).code == "MN0808"


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_arrays_are_taken_with_and_without_a_batch(tmp_path: Path, batch: int | None) -> None:
    shape = (4, 2) if batch is None else (batch, 4, 2)
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    np.save(tmp_path / "a.npy", array)
    found = load_input(tmp_path / "a.npy", port(4, 2, element=ElementType.F32, color=None))
    np.testing.assert_array_equal(found, array.reshape(-1, 4, 2))


def test_raw_bytes_are_taken_in_little_endian(tmp_path: Path) -> None:
    array = np.arange(16, dtype="<f4").reshape(2, 4, 2)
    (tmp_path / "a.bin").write_bytes(array.tobytes())
    found = load_input(tmp_path / "a.bin", port(4, 2, element=ElementType.F32, color=None))
    np.testing.assert_array_equal(found, array)


def test_arrays_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for array, word in (
        (np.zeros((4, 3), np.float32), "4x3"),
        (np.zeros((0, 4, 2), np.float32), "0x4x2"),
        (np.zeros((4, 2), np.float64), "float64"),
        (np.zeros((4, 2), np.uint8), "uint8"),
        (np.full((4, 2), np.nan, np.float32), "not finite"),
    ):
        np.save(path, array)
        problem = refused(path, port(4, 2, element=ElementType.F32, color=None))
        assert problem.code == "MN0807"
        assert word in problem.message
        assert "4x2 of float32" in problem.message
    (tmp_path / "a.bin").write_bytes(bytes(31))
    assert refused(tmp_path / "a.bin", port(4, 2, element=ElementType.F32, color=None)).code == "MN0807"


def test_pickled_and_damaged_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([{}], dtype=object))
    assert refused(path, port(4, 2)).code == "MN0805"
    huge = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,), }\n"
    for data in (
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 16,
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(huge)) + huge,
    ):
        path.write_bytes(data)
        assert refused(path, port(4, 2)).code == "MN0805"


def test_random_inputs_fill_the_range_and_repeat() -> None:
    pixels = random_input(port(64, 64, 3), 7)
    assert pixels.shape == (1, 64, 64, 3)
    assert (pixels.min(), pixels.max()) == (0, 255)
    np.testing.assert_array_equal(pixels, random_input(port(64, 64, 3), 7))
    assert not np.array_equal(pixels, random_input(port(64, 64, 3), 8))
    floats = random_input(port(1000, element=ElementType.F32, color=None), 1)
    assert -1.0 <= floats.min() < -0.9 < 0.9 < floats.max() < 1.0


def test_outputs_are_read_back_by_numpy(tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal((2, 5)).astype(np.float32)
    save_output(tmp_path / "out.npy", array.T)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), array.T)


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


CONTENTS = {kind: encoded(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")}


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(sorted(CONTENTS)), data=st.data())
def test_any_damage_gives_pixels_or_a_diagnostic(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    content = bytearray(CONTENTS[kind])
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    found: object = None
    try:
        found = load_input(path, port(5, 7, 3), Resize.CROP).shape
    except MnetError as problem:
        (found,) = (diagnostic.code for diagnostic in problem.diagnostics)
    assert found in ((1, 5, 7, 3), "MN0801", "MN0803", "MN0804", "MN0805", "MN0806")
