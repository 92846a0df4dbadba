"""How strings and floats are spelled, in one place for printer and parser.

Strings hold any text: printable ASCII stands for itself, every other byte of the UTF-8 form, `"` and `\\` are
written `\\XX` (two hexadecimal digits), as MLIR's own printer does. Floats are decimal with a point, the shortest
that reads back equal; infinities and NaN are the bits of the binary64 as `0x` with 16 digits.
"""

from __future__ import annotations

import math
import re
import struct

_ESCAPE = re.compile(rb"\\(?:([0-9a-fA-F]{2})|(.))")
_NAMED = {b'"': b'"', b"\\": b"\\", b"n": b"\n", b"t": b"\t"}
BARE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$.]*")
VALUE_NAME = re.compile(r"[A-Za-z_$.-][A-Za-z0-9_$.-]*")

FORMAT_VERSION = 1
"""Value of the module's `mnet.ir` attribute: the edition of the IR's text."""


def quote(text: str) -> str:
    """`text` as an MLIR string literal."""
    data = text.encode("utf-8", "surrogateescape")
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in data) + '"'


def unquote(literal: str) -> str:
    """The text of an MLIR string literal, quotes included in `literal`; the lexer has checked its escapes."""
    data = literal[1:-1].encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_unescape, data).decode("utf-8", "surrogateescape")


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode()) if match[1] else _NAMED[match[2]]


def attribute_name(name: str) -> str:
    """`name` as a key of an attribute dictionary: quoted where it is not a bare identifier."""
    return name if BARE_NAME.fullmatch(name) else quote(name)


def float_text(value: float) -> str:
    """The literal of `value` without its type."""
    if not math.isfinite(value):
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    text = repr(value)
    mantissa, separator, exponent = text.partition("e")
    return text if "." in mantissa else f"{mantissa}.0{separator}{exponent}"


def float_of_bits(bits: int) -> float:
    """The binary64 with these bits."""
    value: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return value
