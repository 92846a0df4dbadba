"""Fuzzes the importer of TensorFlow Lite files: whatever bytes come in, nothing but a diagnostic may come out.

    python -m tests.fuzz.fuzz_tflite --seconds 600 [--seed 1]

Changes bytes of small models, and fields of their tables before they are packed, which reaches deeper. A file that
raises anything but `MnetError`, takes too long or too much memory, or is imported as a network that does not check is
written to `build/fuzz/` and ends the run.
"""

from __future__ import annotations

import struct
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

from mnetdsl.importers.tflite import import_bytes
from tests.fuzz.session import fuzz, try_import
from tests.importers.tflite.models import Maker, mobile, quantization, variety

NUMBERS = (0, 1, -1, 2, 3, 7, 127, 128, 255, 1000, 2**20, 2**31 - 1, -(2**31))
FLOATS = (0.0, -1.0, 1e-38, 1e38, float("nan"), float("inf"), 0.5, 1.0)
KINDS = ("float32", "int8", "uint8")


def makers() -> list[Callable[[], Maker]]:
    found: list[Callable[[], Maker]] = []
    for kind in KINDS:
        found += [partial(mobile, kind), partial(variety, kind)]
    return found


def flip(data: bytes, random: Random) -> bytes:
    """Other bytes, words or lengths at random places."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 8)):
        place = random.randrange(len(changed))
        kind = random.randrange(5)
        if kind == 0:
            changed[place] = random.randrange(256)
        elif kind == 1:
            changed[place : place + 4] = struct.pack("<i", random.choice(NUMBERS))
        elif kind == 2:
            changed = changed[: random.randrange(8, len(changed) + 1)]
        elif kind == 3:
            changed[place : place + 4] = struct.pack("<f", random.choice(FLOATS))
        else:
            other = random.randrange(len(changed))
            changed[place : place + 16] = changed[other : other + 16]
    return bytes(changed)


def damage(maker: Maker, random: Random) -> bytes:
    """A field of a table with another value, packed into a file that is well formed."""
    for _ in range(random.randint(1, 4)):
        graph = maker.graph
        kind = random.randrange(8)
        if kind == 0 and graph.tensors:
            shape = random.choice(graph.tensors).shape
            if shape:
                shape[random.randrange(len(shape))] = random.choice(NUMBERS)
        elif kind == 1:
            tensor = random.choice(graph.tensors)
            tensor.quantization = quantization([random.choice(FLOATS)], [random.choice(NUMBERS)], random.randrange(5))
        elif kind == 2:
            random.choice(graph.tensors).type = random.randrange(20)
        elif kind == 3:
            random.choice(graph.tensors).buffer = random.randrange(len(maker.model.buffers) + 2)
        elif kind == 4:
            numbers = random.choice([random.choice(graph.operators).inputs, random.choice(graph.operators).outputs])
            if numbers:
                numbers[random.randrange(len(numbers))] = random.randrange(-1, len(graph.tensors))
        elif kind == 5:
            random.shuffle(graph.operators)
        elif kind == 6:
            random.choice(maker.model.operatorCodes).builtinCode = random.randrange(0, 210)
        else:
            _other_option(random.choice(graph.operators).builtinOptions, random)
    return maker.packed()


def _other_option(options: Any, random: Random) -> None:
    fields = [name for name, value in vars(options).items() if isinstance(value, int)] if options is not None else []
    if fields:
        setattr(options, random.choice(fields), random.choice((0, 1, 2, 3, 4, 5, 100, 127)))


def files(random: Random, seed: int) -> Iterator[bytes]:
    tracemalloc.start()
    made = makers()
    corpus = [make().packed() for make in made]
    while True:
        deep = random.random() < 0.6
        try:
            yield damage(random.choice(made)(), random) if deep else flip(random.choice(corpus), random)
        except (struct.error, TypeError, OverflowError, AttributeError, ValueError):
            continue  # the packer itself refuses the value


def try_file(data: bytes) -> bool:
    return try_import(import_bytes, data, "net.tflite", missing=("MN0616",))


if __name__ == "__main__":
    sys.exit(fuzz(__doc__, "tflite.tflite", files, try_file))
