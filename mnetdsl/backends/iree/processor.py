"""Whether the processor at hand has what a module's kernels were written for."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

LISTED = {
    "avx2": "avx2",
    "fma": "fma",
    "avx512f": "avx512f",
    "avx512vl": "avx512vl",
    "avx512dq": "avx512dq",
    "avx512bw": "avx512bw",
    "avx512vnni": "avx512_vnni",
    "avx512vbmi": "avx512vbmi",
    "avx512bf16": "avx512_bf16",
    "avxvnni": "avx_vnni",
    "amx-tile": "amx_tile",
    "amx-bf16": "amx_bf16",
    "amx-int8": "amx_int8",
}
"""Features that kernels ask for, as LLVM names them -> as Linux lists them."""


def recorded(features: Collection[str]) -> tuple[str, ...]:
    """Those of a target's features that a manifest keeps."""
    return tuple(name for name in LISTED if name in features)


def lacking(features: Collection[str], listing: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Features of a module, as `recorded`, that this processor has not; none where the system does not list its own."""
    try:
        found = re.search(r"^flags\s*:(.*)$", listing.read_text(), re.MULTILINE)
    except OSError:
        return []
    own = set(found[1].split()) if found else None
    return [] if own is None else [name for name in features if LISTED.get(name, name) not in own]
