"""Runs a network on several backends and says where they differ from the interpreter."""

from __future__ import annotations

from mnetdsl.validate.compare import TOLERANCE
from mnetdsl.validate.report import ValidationReport
from mnetdsl.validate.validation import validate

__all__ = ["TOLERANCE", "ValidationReport", "validate"]
