"""C names for names of the user's: unique, not reserved, and the same on every run."""

from __future__ import annotations

import re

_WORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class co_await
co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do
double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable
namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast
requires restrict return short signed sizeof static static_assert static_cast struct switch template this
thread_local throw true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while
xor xor_eq NULL main asm linux unix
int8_t uint8_t int16_t uint16_t int32_t uint32_t int64_t uint64_t size_t
"""
_KEYWORDS = frozenset(_WORDS.split())


def identifier(name: str, fallback: str = "model") -> str:
    """A C99 and C++ identifier that resembles `name`: what no identifier may hold becomes `_`.

    It neither starts with a digit or underscore nor is a keyword.
    """
    cleaned = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_") or fallback
    if cleaned[0].isdigit():
        cleaned = f"{fallback}_{cleaned}"
    return f"{cleaned}_" if cleaned in _KEYWORDS else cleaned


class Names:
    """Hands out identifiers that are unique, upper and lower case taken as equal (they also become macros)."""

    def __init__(self, reserved: tuple[str, ...] = ()) -> None:
        self._taken = {name.lower() for name in reserved}

    def new(self, name: str, fallback: str = "value") -> str:
        """`name` as an identifier; `_2`, `_3` and so on behind it where that is taken."""
        base = identifier(name, fallback)
        chosen, count = base, 1
        while chosen.lower() in self._taken:
            count += 1
            chosen = f"{base}_{count}"
        self._taken.add(chosen.lower())
        return chosen


def comment_text(text: str) -> str:
    """`text` such that it can stand inside a C comment on one line: printable ASCII without comment marks."""
    printable = re.sub(r"[^\x20-\x7e]", "?", text)
    return printable.replace("*/", "* /").replace("/*", "/ *").replace("??/", "?? /")


def string_literal(text: str) -> str:
    """A C string literal of the UTF-8 bytes of `text`."""
    pieces = []
    for byte in text.encode():
        char = chr(byte)
        if 0x20 <= byte < 0x7F and char not in '"\\?':
            pieces.append(char)
        else:
            pieces.append(f"\\{byte:03o}")
    return '"' + "".join(pieces) + '"'
