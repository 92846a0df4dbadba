"""Fixtures and options of all tests."""

from __future__ import annotations

import pytest

from tests.golden import Golden


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew in place of comparing")


@pytest.fixture
def golden(pytestconfig: pytest.Config) -> Golden:
    return Golden(update=bool(pytestconfig.getoption("--update-golden")))
