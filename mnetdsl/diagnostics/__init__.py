"""Diagnostics: what is told to the user, and in which view."""

from mnetdsl.diagnostics.diagnostic import Diagnostic, ExitCode, Label, MnetError, Severity, error

__all__ = ["Diagnostic", "ExitCode", "Label", "MnetError", "Severity", "error"]
