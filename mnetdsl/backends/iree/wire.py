"""Messages between the process that wants a module run and the one that runs it: a JSON header and raw blobs.

A message is a 4-byte little-endian length, the header of that length, then the blobs whose sizes the header gives.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Header = dict[str, Any]


def send(stream: BinaryIO, header: Header, blobs: Sequence[bytes] = ()) -> None:
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}).encode()
    stream.write(struct.pack("<I", len(text)) + text)
    for blob in blobs:
        stream.write(blob)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Header, list[bytes]]:
    """The next message; raises `EOFError` where the other side is gone."""
    (length,) = struct.unpack("<I", _exactly(stream, 4))
    header: Header = json.loads(_exactly(stream, length))
    return header, [_exactly(stream, size) for size in header.pop("blobs")]


def send_arrays(stream: BinaryIO, header: Header, arrays: Sequence[Array]) -> None:
    described = [{"shape": array.shape, "dtype": array.dtype.name} for array in arrays]
    send(stream, {**header, "arrays": described}, [np.ascontiguousarray(array).tobytes() for array in arrays])


def arrays_of(header: Header, blobs: Sequence[bytes]) -> list[Array]:
    return [
        np.frombuffer(blob, described["dtype"]).reshape(described["shape"])
        for described, blob in zip(header["arrays"], blobs, strict=True)
    ]


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data
