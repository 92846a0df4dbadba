"""What the shaders of a Vulkan module declare that they need of the device."""

from __future__ import annotations

import struct

MAGIC = struct.pack("<I", 0x07230203)
HEADER = 20
"""Bytes in front of a shader's first instruction."""
CAPABILITY = 17
"""The operation that shaders begin with, one for each feature."""
EVERYWHERE = frozenset({0, 1})
"""Matrix and Shader, which every Vulkan device has."""
NAMES = {
    9: "Float16",
    10: "Float64",
    11: "Int64",
    22: "Int16",
    39: "Int8",
    61: "GroupNonUniform",
    63: "GroupNonUniformArithmetic",
    64: "GroupNonUniformBallot",
    65: "GroupNonUniformShuffle",
    4433: "StorageBuffer16BitAccess",
    4434: "UniformAndStorageBuffer16BitAccess",
    4448: "StorageBuffer8BitAccess",
    4449: "UniformAndStorageBuffer8BitAccess",
}
"""Capabilities by number (SPIR-V specification, 3.31)."""


def needs(vmfb: bytes) -> tuple[str, ...]:
    """Capabilities beyond those of every device that the shaders inside a module declare, in their numbers' order."""
    found: set[int] = set()
    start = vmfb.find(MAGIC)
    while start >= 0:
        at = start + HEADER
        while at + 8 <= len(vmfb):
            word, number = struct.unpack_from("<II", vmfb, at)
            if word != CAPABILITY | 2 << 16:
                break
            found.add(number)
            at += 8
        start = vmfb.find(MAGIC, at)
    return tuple(NAMES.get(number, f"capability {number}") for number in sorted(found - EVERYWHERE))
