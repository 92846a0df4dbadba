"""Diagnostics for programs: JSON of our own, and SARIF 2.1.0 for editors and code hosts."""

from __future__ import annotations

from collections.abc import Sequence

from mnetdsl.diagnostics.codes import CODES
from mnetdsl.diagnostics.diagnostic import Diagnostic, Label
from mnetdsl.source import Span
from mnetdsl.version import __version__

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(diagnostics: Sequence[Diagnostic]) -> dict[str, object]:
    """`{"diagnostics": [{"code", "severity", "message", "location", "primary", "secondary", "help", "notes"}]}`.

    Places are `{"file", "line", "column", "end_line", "end_column", "text"}`, counted from 1, the end exclusive.
    """
    return {"diagnostics": [_json(diagnostic) for diagnostic in diagnostics]}


def _json(diagnostic: Diagnostic) -> dict[str, object]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "location": diagnostic.location,
        "primary": None if diagnostic.primary is None else _json_label(diagnostic.primary),
        "secondary": [_json_label(label) for label in diagnostic.secondary],
        "help": list(diagnostic.help),
        "notes": list(diagnostic.notes),
    }


def _json_label(label: Label) -> dict[str, object]:
    line, column, end_line, end_column = _region(label.span)
    return {
        "file": label.span.file.path,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "text": label.text,
    }


def _region(span: Span) -> tuple[int, int, int, int]:
    return (*span.file.position(span.start), *span.file.position(max(span.end, span.start)))


def as_sarif(diagnostics: Sequence[Diagnostic]) -> dict[str, object]:
    """One run of the tool with a rule a code (OASIS, SARIF 2.1.0, sections 3.14, 3.27 and 3.49)."""
    codes = sorted({diagnostic.code for diagnostic in diagnostics})
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "mnet",
                        "version": __version__,
                        "rules": [{"id": code, "shortDescription": {"text": CODES[code]}} for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_sarif(diagnostic, codes) for diagnostic in diagnostics],
            }
        ],
    }


def _sarif(diagnostic: Diagnostic, codes: Sequence[str]) -> dict[str, object]:
    message = "\n".join([diagnostic.message, *(f"help: {text}" for text in diagnostic.help)])
    result: dict[str, object] = {
        "ruleId": diagnostic.code,
        "ruleIndex": codes.index(diagnostic.code),
        "level": diagnostic.severity.value,
        "message": {"text": message},
    }
    if diagnostic.primary is not None:
        result["locations"] = [_sarif_location(diagnostic.primary)]
    elif diagnostic.location is not None:
        result["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": _uri(diagnostic.location)}}}]
    if diagnostic.secondary:
        result["relatedLocations"] = [
            {"id": number, **_sarif_location(label)} for number, label in enumerate(diagnostic.secondary)
        ]
    return result


def _sarif_location(label: Label) -> dict[str, object]:
    line, column, end_line, end_column = _region(label.span)
    region = {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}
    location: dict[str, object] = {
        "physicalLocation": {"artifactLocation": {"uri": _uri(label.span.file.path)}, "region": region}
    }
    if label.text:
        location["message"] = {"text": label.text}
    return location


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path.replace("\\", "/"))
