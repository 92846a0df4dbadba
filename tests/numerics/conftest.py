from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Its own numbers for each test, the same in every run."""
    return np.random.default_rng([ord(letter) for letter in request.node.name])
