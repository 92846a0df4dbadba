"""Files given as input: an image or a `.npy` array becomes exactly what the model declares, or a message says why not.

Nothing is converted silently: an image of another size, with transparency or in other colors changes what the
network sees, so the user says how (`Resize`) or prepares the file.
"""

from __future__ import annotations

import io
import warnings
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.files import MAX_ARRAY, MAX_IMAGE, read_bytes, write_whole
from mnetdsl.ir.core import Port
from mnetdsl.ir.types import ElementType, Shape
from mnetdsl.npy import elements, read_header, to_npy

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 100_000_000
"""A decoded image of more is a decompression bomb rather than a photograph."""
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
"""Decoders that untrusted files may reach."""
RAW_SUFFIXES = (".bin", ".raw")


class Resize(Enum):
    """What to do with an image of another size. The value is what `--resize` takes."""

    NONE = "none"
    """Refuse it."""
    STRETCH = "stretch"
    """Scale height and width independently."""
    CROP = "crop"
    """Scale the shorter side, cut the middle out of the longer one."""
    PAD = "pad"
    """Scale the longer side, fill the rest with black on both sides."""


def load_input(path: str | Path, port: Port, resize: Resize = Resize.NONE, central: float = 1.0) -> NDArray[np.generic]:
    """The array `[1, …]` for input `port` from an image, a `.npy` array or a `.bin`/`.raw` dump of its elements.

    An image needs an input of `[height, width, 3]` or `[height, width, 1]` and lands in the declared color order;
    u8 inputs take pixels as they are, i8 inputs less 128, f32 inputs as 0 to 255. An image of another size keeps the
    middle `central` of its height and of its width before it is resized. Raises `MnetError`: MN0801 no
    image, MN0802 another size, MN0803 transparency, MN0804 other colors, MN0805 damaged, MN0806 too many pixels,
    MN0807 an array that does not fit, MN0808 an input that takes no image, MN09xx where it cannot be read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return _from_npy(path, port)
    if suffix in RAW_SUFFIXES:
        return _from_raw(path, port)
    return _from_image(path, port, resize, central)


def random_input(port: Port, seed: int) -> NDArray[np.generic]:
    """An array `[1, …]` for input `port`: all pixel values alike, floats in [-1, 1)."""
    type = port.value.type
    raw = np.asarray(np.random.PCG64(seed).random_raw(type.elements), dtype=np.uint64).reshape(type.shape)
    if type.element is ElementType.F32:
        return ((raw >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23)) - np.float32(1.0)
    return raw.view(np.int64).astype(type.element.dtype)


def save_output(path: str | Path, array: NDArray[np.generic]) -> None:
    """Writes `array` as `.npy`, whole or not at all."""
    write_whole(path, to_npy(array))


def _from_image(path: Path, port: Port, resize: Resize, central: float) -> NDArray[np.generic]:
    color = port.attributes.get("color")
    shape = port.value.type.shape[1:]
    if len(shape) != 3 or color not in ("rgb", "bgr", "gray"):
        raise MnetError(
            error(
                "MN0808",
                f"input `{port.name}` of {_sizes(shape)} takes no image",
                location=str(path),
                help="give a .npy array of that shape, or declare `color` beside the input",
            )
        )
    image = _decode(path)
    image = _in_color(image, str(color), path)
    image = _in_size(image, (shape[0], shape[1]), resize, central, path)
    pixels = np.asarray(image).reshape(1, *shape)
    if color == "bgr":
        pixels = pixels[..., ::-1]
    return _as_element(pixels, port.value.type.element)


def _decode(path: Path) -> Image.Image:
    """The first frame, upright as its camera recorded."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    data = read_bytes(path, what="image", limit=MAX_IMAGE)
    if not data:
        raise MnetError(_damaged(path, "it is empty"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit is checked below, with a message of ours
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise MnetError(
                    error(
                        "MN0806",
                        f"image of {width}x{height} has more than {MAX_PIXELS // 1_000_000} million pixels",
                        location=str(path),
                        help="scale it down first",
                    )
                )
            image.load()
            return ImageOps.exif_transpose(image)
    except UnidentifiedImageError:
        raise MnetError(
            error(
                "MN0801",
                "not an image that can be read",
                location=str(path),
                help=f"formats: {', '.join(FORMATS)}; arrays: .npy",
            )
        ) from None
    except Image.DecompressionBombError:
        raise MnetError(
            error("MN0806", "image has far too many pixels", location=str(path), help="scale it down first")
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as problem:
        # What Pillow's decoders raise on damaged files.
        raise MnetError(_damaged(path, str(problem) or type(problem).__name__)) from None


_CONVERSIONS = {"L": "-colorspace Gray -depth 8", "RGB": "-colorspace sRGB -type TrueColor -depth 8"}
"""Arguments of ImageMagick. Without a type it writes an image without color as gray, whatever its color space."""


def _in_color(image: Image.Image, color: str, path: Path) -> Image.Image:
    """The image as 8-bit RGB or gray, where that loses nothing the user would miss."""
    if image.mode == "P" or image.mode == "1":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB" if image.mode == "P" else "L")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = _opaque(image, path)
    wanted = "L" if color == "gray" else "RGB"
    if image.mode == wanted:
        return image
    given = {"L": "grayscale", "RGB": "colored", "CMYK": "CMYK", "YCbCr": "YCbCr"}.get(image.mode)
    if given is None:
        given = "16-bit" if image.mode.startswith(("I", "F")) else image.mode
    needs = "gray" if wanted == "L" else "RGB"
    hint = "change the input to `color = gray`, one channel" if image.mode == "L" else f"convert it to {needs} first"
    raise MnetError(
        error(
            "MN0804",
            f"image is {given}, the input needs {needs}",
            location=str(path),
            help=(hint, f"for instance `magick {path.name} {_CONVERSIONS[wanted]} new.png`"),
        )
    )


def _opaque(image: Image.Image, path: Path) -> Image.Image:
    """Drops an alpha channel that hides nothing; what lies behind a transparent pixel is nobody's to guess."""
    image = image.convert("RGBA" if image.mode not in ("LA", "La") else "LA")
    low, _ = image.getchannel("A").getextrema()
    if low == 255:
        return image.convert("L" if image.mode == "LA" else "RGB")
    raise MnetError(
        error(
            "MN0803",
            "image is transparent in places, and the network cannot see through it",
            location=str(path),
            help=f"lay it on a background first, for instance `magick {path.name} -background white -flatten new.png`",
        )
    )


def _in_size(image: Image.Image, size: tuple[int, int], resize: Resize, central: float, path: Path) -> Image.Image:
    from PIL import Image, ImageOps

    height, width = size
    if image.size == (width, height):
        return image
    if resize is not Resize.NONE and central < 1.0:
        left, top = int(image.width * (1 - central) / 2), int(image.height * (1 - central) / 2)
        image = image.crop((left, top, image.width - left, image.height - top))
    match resize:
        case Resize.STRETCH:
            return image.resize((width, height), Image.Resampling.BILINEAR)
        case Resize.CROP:
            return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        case Resize.PAD:
            return ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR)
        case Resize.NONE:
            raise MnetError(
                error(
                    "MN0802",
                    f"image is {image.height} high and {image.width} wide, the input is {height} high and {width} wide",
                    location=str(path),
                    help="`--resize crop` scales it and cuts out the middle; also: stretch, pad",
                )
            )


def _as_element(pixels: NDArray[np.uint8], element: ElementType) -> NDArray[np.generic]:
    match element:
        case ElementType.I8:
            return (pixels.astype(np.int16) - 128).astype(np.int8)
        case ElementType.F32:
            return pixels.astype(np.float32)
        case _:
            return np.ascontiguousarray(pixels)


def _from_npy(path: Path, port: Port) -> NDArray[np.generic]:
    data = read_bytes(path, what="array", limit=MAX_ARRAY)
    try:
        stream = io.BytesIO(data)
        header = read_header(stream)
        if header.holds_objects:
            raise ValueError("pickled objects are never read")
        array = elements(header, stream.read())
    except ValueError:
        raise MnetError(
            error(
                "MN0805",
                "array is damaged or holds pickled objects",
                location=str(path),
                help="write it with `numpy.save(path, array)` of plain numbers",
            )
        ) from None
    type = port.value.type
    sizes = type.shape[1:]
    if array.shape == sizes:
        array = array[np.newaxis]
    if array.shape[1:] != sizes or array.shape[0] < 1:
        raise MnetError(_misfit(path, port, f"array has shape {_sizes(array.shape)}"))
    if array.dtype.name != type.element.dtype:
        raise MnetError(_misfit(path, port, f"array holds {array.dtype.name}"))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise MnetError(_misfit(path, port, "array holds values that are not finite"))
    return np.ascontiguousarray(array)


def _from_raw(path: Path, port: Port) -> NDArray[np.generic]:
    type = port.value.type
    data = read_bytes(path, what="raw input", limit=MAX_ARRAY)
    if not data or len(data) % type.byte_size:
        raise MnetError(_misfit(path, port, f"file has {len(data)} bytes, one input has {type.byte_size}"))
    array = np.frombuffer(data, np.dtype(type.element.dtype).newbyteorder("<"))
    return array.reshape(-1, *type.shape[1:]).astype(type.element.dtype)


def _misfit(path: Path, port: Port, found: str) -> Diagnostic:
    type = port.value.type
    return error(
        "MN0807",
        f"{found}, input `{port.name}` needs {_sizes(type.shape[1:])} of {type.element.dtype}",
        location=str(path),
        help="a batch of several may stand in front: [N, …]",
    )


def _damaged(path: Path, why: str) -> Diagnostic:
    return error(
        "MN0805",
        f"image is damaged: {why[0].lower() + why[1:]}",
        location=str(path),
        help="copy or download it again",
    )


def _sizes(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "scalar"
