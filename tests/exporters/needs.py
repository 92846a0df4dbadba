"""Packages that tests of other formats take."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest


def need(*modules: str, extra: str = "test") -> None:
    """Skips the test where one is missing; under CI that is a failure if the extra is the tests' own."""
    for name in modules:
        if find_spec(name) is None:
            message = f"{name} is not installed (pip install '.[{extra}]')"
            pytest.fail(message) if os.environ.get("CI") and extra == "test" else pytest.skip(message)
