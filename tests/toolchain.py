"""Finds the tools that tests call; under CI a missing one is a failure, elsewhere a skip that names its package."""

from __future__ import annotations

import os
import shutil

import pytest

DEBIAN_PACKAGES = {
    "gcc": "gcc",
    "g++": "g++",
    "clang": "clang",
    "clang++": "clang",
    "make": "make",
    "cmake": "cmake",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-aarch64-static": "qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross",
}


def require(tool: str) -> str:
    """Path of `tool`; skips the test where it is missing, fails it under CI."""
    path = shutil.which(tool)
    if path is None:
        message = f"{tool} is not installed (Debian: apt-get install {DEBIAN_PACKAGES.get(tool, tool)})"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path
