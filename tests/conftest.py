"""Fixtures and options of all tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.golden import Golden

# How long an example takes says how busy the machine is: no reason to fail.
settings.register_profile("mnetdsl", deadline=None)
settings.load_profile("mnetdsl")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew in place of comparing")


@pytest.fixture
def golden(pytestconfig: pytest.Config) -> Golden:
    return Golden(update=bool(pytestconfig.getoption("--update-golden")))
