"""The torch tests skip themselves without torch; under CI that would hide them."""

from __future__ import annotations

import importlib.util
import os

import pytest


@pytest.mark.torch
@pytest.mark.skipif(not os.environ.get("CI"), reason="torch is optional on a developer's machine")
def test_continuous_integration_has_torch() -> None:
    assert importlib.util.find_spec("torch") is not None
