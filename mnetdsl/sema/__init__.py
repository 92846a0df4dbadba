"""Meaning: names, types, compile-time evaluation and block expansion turn the syntax tree into the IR."""

from __future__ import annotations

from mnetdsl.diagnostics import Diagnostic
from mnetdsl.sema.program import Instance, build, check, deployments
from mnetdsl.source import SourceFile

__all__ = ["Instance", "build", "check", "check_text", "deployments"]


def check_text(text: str, path: str = "net.mnet") -> tuple[Diagnostic, ...]:
    """All that is wrong in a program given as text; files it uses are found relative to `path`."""
    return check(SourceFile(path, text))
