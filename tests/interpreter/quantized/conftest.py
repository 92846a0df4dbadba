from __future__ import annotations

from tests.numerics.conftest import rng

__all__ = ["rng"]
