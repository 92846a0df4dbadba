"""The two files between host and image: `request.bin` and `answer.bin`, little-endian, without gaps.

A request is (what, count), a byte for each layer that is 1 where its result is wanted, padded to 4, then the inputs of
each of the `count` images. An answer to RUN is records (index, bytes, data): layers in the order in which they are
computed, several of one layer where it runs in bands, then outputs, whose index is -1 minus their number.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Requests(IntEnum):
    """What an image is asked for."""

    RUN = 0
    MEASURE = 1
    PROFILE = 2


KNOWN_WORK = 1_000_000
"""Instructions of a loop that an image runs to show that counts are right."""


@dataclass(frozen=True)
class Count:
    """What `mnet_stop_count` sums up: SysTick's ticks between two of its changes, turns of the loops that waited for
    the second change, stretches of work."""

    ticks: int
    spins: int
    times: int


_COUNT = struct.Struct("<QII")
_HEAD = struct.Struct("<iI")


def encode_request(
    what: Requests, layers: int, observed: Collection[int], images: Sequence[Sequence[NDArray[np.generic]]]
) -> bytes:
    """images: for each image its inputs in port order."""
    wanted = bytearray((layers + 3) // 4 * 4)
    for layer in observed:
        wanted[layer] = 1
    parts = [struct.pack("<II", what, len(images)), bytes(wanted)]
    parts += [np.ascontiguousarray(array).tobytes() for inputs in images for array in inputs]
    return b"".join(parts)


def records(answer: bytes) -> Iterator[tuple[int, memoryview]]:
    """(index, data) of an answer to RUN."""
    view = memoryview(answer)
    at = 0
    while at < len(view):
        index, size = _HEAD.unpack_from(view, at)
        at += _HEAD.size
        yield index, view[at : at + size]
        at += size


def decode_measure(answer: bytes) -> tuple[int, Count, Count, Count]:
    """Bytes of stack, then the counts of no work, of `KNOWN_WORK` instructions and of one inference."""
    (stack, _) = struct.unpack_from("<Ii", answer)
    nothing, known, total = decode_counts(answer[8:])
    return stack, nothing, known, total


def decode_counts(data: bytes) -> list[Count]:
    return [Count(*fields) for fields in _COUNT.iter_unpack(data)]
