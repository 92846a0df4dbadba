"""The list of passes for people, made from the passes themselves."""

from __future__ import annotations

import inspect
from dataclasses import fields

from mnetdsl.passes.base import Pass
from mnetdsl.passes.pipelines import PIPELINES
from mnetdsl.passes.registry import PASSES


def catalogue() -> str:
    """Each pass with the first paragraph of its documentation and its options, then the pipelines."""
    lines = ["Passes:"]
    for name, kind in PASSES.items():
        summary = " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())
        lines.append(f"  {name:<22} {summary}")
        lines += [f"  {'':<22}   {option}" for option in _options(kind)]
    lines.append("Pipelines:")
    lines += [f"  {name:<22} {','.join(map(str, passes)) or 'no pass'}" for name, passes in PIPELINES.items()]
    return "\n".join(lines)


def _options(kind: type[Pass]) -> list[str]:
    return [f"{field.name.replace('_', '-')}={field.default}" for field in fields(kind)]
