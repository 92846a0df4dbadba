"""The `.mnet` file of a quantized network: the float network's text, and a deployment with the table of its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.files import read_bytes
from mnetdsl.ir.types import ElementType
from mnetdsl.sema import Instance
from mnetdsl.sema.quantization import STORED_TYPES, QuantizedTensor
from mnetdsl.sema.values import Value, literal
from mnetdsl.source import SourceFile
from mnetdsl.syntax import ast
from mnetdsl.syntax.formatter import format_source
from mnetdsl.syntax.parser import parse
from mnetdsl.syntax.reader import read_source

_TYPES = {element: name for name, element in STORED_TYPES.items()}


def deployment_text(
    source: SourceFile,
    instance: Instance,
    name: str,
    doc: Sequence[str],
    rows: Sequence[QuantizedTensor],
) -> str:
    """`source` with one deployment, `name`, that names its weights and holds `rows`; without rows it is in float.

    instance: what was built from `source`; all its parameters are written down. Sections of its deployment are kept,
    other deployments are left out: their weights are others. doc: what stands above the deployment.
    """
    file = parse(source)
    deploys = [item for item in file.items if isinstance(item, ast.Deploy)]
    chosen = instance.deployment and next(item for item in deploys if item.name.text == instance.deployment.name)
    text = source.text
    for deploy in reversed(deploys):
        text = _without(text, deploy)
    body = [f'weights = "{name}.safetensors"']
    if chosen:
        body += [section.span.text for section in chosen.sections if section.name.text != "quantize"]
    given = ", ".join(f"{key} = {_literal(value)}" for key, value in instance.parameters.items())
    lines = [f"/// {line}".rstrip() for line in doc]
    lines += [f"deploy {name} of {instance.model.name.text}({given}) {{", *body, *_table(rows), "}", ""]
    return format_source(SourceFile(f"{name}.mnet", text.rstrip() + "\n\n" + "\n".join(lines)))


def _without(text: str, deploy: ast.Deploy) -> str:
    """`text` less the deployment and the `///` lines above it."""
    kept = text[: deploy.span.start].splitlines(keepends=True)
    while kept and kept[-1].lstrip().startswith("///"):
        kept.pop()
    return "".join(kept) + text[deploy.span.end :]


def _table(rows: Sequence[QuantizedTensor]) -> Iterator[str]:
    if not rows:
        return
    mixed = any(row.in_float for row in rows)
    yield "table quantization {"
    yield "tensor type scale zero_point" + (" compute" if mixed else "")
    for row in rows:
        compute = (" f32" if row.in_float else " integer") if mixed else ""
        yield f'"{row.name}" {_TYPES[row.storage.element]} {_numbers(row)}{compute}'
    yield "}"


def _numbers(row: QuantizedTensor) -> str:
    quantization = row.storage.quantization
    if quantization is None or row.storage.element is ElementType.F32:
        return "1.0 0"
    shortest = float(str(np.float32(quantization.scale[0])))  # the shortest decimal of that float32
    return f"{_literal(shortest)} {quantization.zero_point[0]}"


def _literal(value: Value) -> str:
    if isinstance(value, float):
        return repr(value).replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return literal(value)


def companions(source: SourceFile) -> dict[str, bytes]:
    """What the text names by paths of its own: files that it uses, theirs, and labels; path -> content.

    Raises MN1811 where such a path leads out of the folder of `source`.
    """
    found: dict[str, bytes] = {}
    waiting = [(source, PurePosixPath())]
    while waiting:
        current, place = waiting.pop()
        folder = Path(current.path).parent
        for path, is_source in _named_files(parse(current)):
            inside = place / path
            if PurePosixPath(path).is_absolute() or ".." in inside.parts:
                raise MnetError(
                    error(
                        "MN1811",
                        f"the network uses `{path}`, which lies outside its folder",
                        location=current.path,
                        help="copy that file beside the network: its quantized copy takes what it uses along",
                    )
                )
            if str(inside) in found:
                continue
            found[str(inside)] = read_bytes(folder / path)
            if is_source:
                waiting.append((read_source(folder / path), inside.parent))
    return found


def _named_files(file: ast.MnetFile) -> Iterator[tuple[str, bool]]:
    for item in file.items:
        if isinstance(item, ast.Use) and item.is_file:
            yield item.path, True
        elif isinstance(item, ast.Model):
            for statement in item.body:
                if isinstance(statement, ast.Output):
                    for setting in statement.settings:
                        if isinstance(setting.value, ast.String):
                            yield setting.value.value, False
