"""The imported network as text of the language, in the project's one layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnetdsl.importers.tflite.block_text import block_texts, defined, used
from mnetdsl.importers.tflite.graph import ImportGraph, ImportInput, ImportOutput, Layer
from mnetdsl.importers.tflite.literals import call, expression, literal, numbers, quoted
from mnetdsl.importers.tflite.outline import Outline
from mnetdsl.source import SourceFile
from mnetdsl.syntax.formatter import format_source

MODEL = "network"


@dataclass(frozen=True)
class Row:
    """A row of the table `quantization`."""

    tensor: str
    type: str
    scale: float
    zero_point: int
    per_tensor: bool = False


def network_text(
    graph: ImportGraph,
    plan: Outline,
    name: str,
    doc: Sequence[str],
    label_files: dict[str, str],
    rows: Sequence[Row] = (),
) -> str:
    """The file `name`.mnet: blocks, the model and the deployment that names weights and quantization.

    label_files: output -> the file with its labels. doc: what stands above the model. rows: of the table, none for a
    float network.
    """
    texts = block_texts(plan.definitions, graph)
    lines = ["mnet 1", ""]
    for text in texts:
        lines += defined(text, graph)
    lines += [f"/// {line}".rstrip() for line in doc]
    lines += [f"model {MODEL}() {{", *(_input(port) for port in graph.inputs), ""]
    outputs = {output.value: output for output in graph.outputs}
    for item in plan.items:
        target = plan.variables[item.output]
        if isinstance(item, Layer):
            lines += _layer(item, plan, graph, outputs.get(item.output), label_files)
            continue
        source = plan.variables[item.blocks[0].input]
        multiline = len(item.blocks) > 1
        inside = plan.loops[item.output] if multiline or item.output in outputs else target
        if next((line for line in reversed(lines) if line), "") == f"{source} = {inside}":
            source = inside  # it holds the same still
        lines += [""] if multiline else []
        lines += used(texts[item.definition], item.blocks, item.name, source, inside)
        if item.output in outputs:
            lines.append(_output(outputs[item.output], inside, "", label_files))
        elif inside != target:
            lines.append(f"{target} = {inside}")
        lines += [""] if multiline else []
    lines += _repeated(graph, plan, label_files)
    lines += ["}", "", f"deploy {name} of {MODEL} {{", f'weights = "{name}.safetensors"', *_quantization(rows), "}"]
    return format_source(SourceFile(f"{name}.mnet", "\n".join(lines) + "\n"))


def _input(port: ImportInput) -> str:
    sizes = ", ".join(map(str, port.shape[1:]))
    if not port.image:
        return f"input {port.name}: f32[{sizes}]"
    color = "gray" if port.shape[3] == 1 else "rgb"
    return (
        f"input {port.name}: u8[{sizes}] {{ color = {color}, mean = {numbers(port.mean)}, std = {numbers(port.std)} }}"
    )


def _layer(
    layer: Layer, plan: Outline, graph: ImportGraph, output: ImportOutput | None, label_files: dict[str, str]
) -> list[str]:
    sources = [plan.variables[value] for value in layer.inputs]
    target = plan.variables[layer.output]
    label = f" as {plan.labels[layer.output]}" if layer.weighted else ""
    made = expression(layer, sources, graph)
    if layer.activation == "none":
        if output is not None:
            return [_output(output, made, label, label_files)]
        return [f"{target} = {made}{label}"]
    if output is not None:
        inside = plan.loops[layer.output]
        clamped = call(layer.activation, [inside], {})
        return [f"{inside} = {made}{label}", _output(output, clamped, "", label_files)]
    return [f"{target} = {made}{label}", f"{target} = {layer.activation}({target})"]


def _output(output: ImportOutput, made: str, label: str, label_files: dict[str, str]) -> str:
    file = label_files.get(output.name)
    return f"output {output.name} = {made}{label}" + (f" {{ labels = {quoted(file)} }}" if file else "")


def _repeated(graph: ImportGraph, plan: Outline, label_files: dict[str, str]) -> list[str]:
    """Further outputs of one value."""
    named = {output.value: output.name for output in graph.outputs}
    return [
        _output(output, plan.variables[output.value], "", label_files)
        for output in graph.outputs
        if named[output.value] != output.name
    ]


def _quantization(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    mixed = any(row.per_tensor and row.type != "u8" for row in rows)
    lines = ["table quantization {", "tensor type scale zero_point" + (" weights" if mixed else "")]
    for row in rows:
        cells = [quoted(row.tensor), row.type, scale(row.scale), str(row.zero_point)]
        if mixed:
            cells.append("per_tensor" if row.per_tensor else "per_channel")
        lines.append(" ".join(cells))
    return [*lines, "}"]


def scale(value: float) -> str:
    """The shortest decimal that is the same float32."""
    import numpy as np

    return literal(float(str(np.float32(value))))
