"""What the numbers were measured on."""

from __future__ import annotations

import platform
import re
from pathlib import Path


def processor_name() -> str:
    """The processor as its maker calls it, as far as the system says."""
    listing = Path("/proc/cpuinfo")
    if listing.exists() and (found := re.search(r"^model name\s*: (.*)$", listing.read_text(), re.MULTILINE)):
        return found[1].strip()
    return platform.processor() or platform.machine()
