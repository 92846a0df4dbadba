"""What shaders inside a module declare is found, wherever they stand."""

from __future__ import annotations

import struct

from mnetdsl.backends.iree.shaders import needs

VERSION_1_3 = 0x00010300


def shader(*capabilities: int) -> bytes:
    """A shader's header, its capabilities and the first of its other instructions (OpMemoryModel)."""
    words = [0x07230203, VERSION_1_3, 0, 100, 0]
    for number in capabilities:
        words += [2 << 16 | 17, number]
    return struct.pack(f"<{len(words) + 3}I", *words, 3 << 16 | 14, 0, 1)


def test_capabilities_of_all_shaders_are_named_in_one_order() -> None:
    module = b"head" + shader(1, 4448) + b"between them" + shader(0, 39, 1) + b"end"
    assert needs(module) == ("Int8", "StorageBuffer8BitAccess")


def test_what_every_device_has_is_not_named() -> None:
    assert needs(shader(0, 1)) == ()
    assert needs(b"no shader at all") == ()


def test_capabilities_without_a_name_keep_their_number() -> None:
    assert needs(shader(1, 5117)) == ("capability 5117",)


def test_a_shader_that_ends_early_is_no_fault() -> None:
    assert needs(shader(1, 39)[:30]) == ()
