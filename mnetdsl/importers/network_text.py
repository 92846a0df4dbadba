"""The `.mnet` file of an imported network: the zoo's text with the pixels it was trained on, and a deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mnetdsl import resources
from mnetdsl.sema.values import Activation, Symbol, Value
from mnetdsl.source import SourceFile, Span
from mnetdsl.syntax import ast
from mnetdsl.syntax.formatter import format_source
from mnetdsl.syntax.parser import parse
from mnetdsl.syntax.reader import read_source


def network_text(
    network: str,
    name: str,
    arguments: Mapping[str, Value],
    mean: Sequence[float],
    std: Sequence[float],
    doc: Sequence[str],
) -> str:
    """A copy of the zoo's `network`, to be read and changed, with a deployment `name` of it.

    `mean` and `std` replace those of the input; empty ones leave it alone. `doc` is what stands above the deployment.
    """
    source = read_source(resources.zoo_folder() / f"{network}.mnet")
    file = parse(source)
    changes: list[tuple[Span, str]] = []
    for item in file.items:
        if isinstance(item, ast.Model) and item.name.text == network:
            changes = _pixels(item, mean, std)
    text = source.text
    for span, new in sorted(changes, key=lambda change: -change[0].start):
        text = text[: span.start] + new + text[span.end :]
    comment = "".join(f"/// {line}\n" for line in doc)
    given = ", ".join(f"{key} = {literal(value)}" for key, value in arguments.items())
    text += f'\n{comment}deploy {name} of {network}({given}) {{\n  weights = "{name}.safetensors"\n}}\n'
    return format_source(SourceFile(f"{name}.mnet", text))


def _pixels(model: ast.Model, mean: Sequence[float], std: Sequence[float]) -> list[tuple[Span, str]]:
    new = {"mean": mean, "std": std}
    return [
        (setting.value.span, literal(tuple(new[setting.name.text])))
        for statement in model.body
        if isinstance(statement, ast.Input)
        for setting in statement.settings
        if new.get(setting.name.text)
    ]


def literal(value: object) -> str:
    """A value as the language writes it; a list of one number as that number."""
    if isinstance(value, tuple):
        items = [literal(item) for item in value]
        return items[0] if len(items) == 1 else f"[{', '.join(items)}]"
    if isinstance(value, Symbol | Activation):
        return value.text
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0") + ("0" if float(value).is_integer() else "")
    return str(value)
