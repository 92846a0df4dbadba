from __future__ import annotations

import pytest

from tests.toolchain import require


@pytest.fixture
def emulator() -> None:
    """For tests that build and run images."""
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
