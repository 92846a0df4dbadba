"""From the graph of another tool's file to the files of an import: text, weights, labels, and what is reported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from mnetdsl import sema
from mnetdsl.diagnostics import MnetError
from mnetdsl.importers.result import Fact
from mnetdsl.importers.tflite.flat import Array
from mnetdsl.importers.tflite.graph import ImportGraph, Layer
from mnetdsl.importers.tflite.match import Names, NotTheSameError, match
from mnetdsl.importers.tflite.network_text import Row, network_text
from mnetdsl.importers.tflite.outline import Outline, Run, outline
from mnetdsl.importers.tflite.problems import bad_quantization, not_finite
from mnetdsl.importers.tflite.tensors import lost_layers, table_rows, weight_arrays
from mnetdsl.quantize.apply import apply_quantization, quantizable, tensor_names
from mnetdsl.source import SourceFile
from mnetdsl.syntax.mistakes import KEYWORDS
from mnetdsl.weights import safetensors
from mnetdsl.weights.expected import expected_weights

OTHER_WORDS = ("as", "in", "of", "mnet", "and", "or", "not", "true", "false")
TOO_LARGE = {"MN0503", "MN0506"}
"""More operations, or larger tensors, than a network of the language may have."""


@dataclass(frozen=True)
class GraphFiles:
    """`files` are the text, the weights and the labels; `names` say what the text calls each layer."""

    plan: Outline
    names: Names
    arrays: dict[str, Array]
    files: dict[str, bytes]


def graph_files(
    graph: ImportGraph, own: str, doc: Sequence[str], path: str, stored_twice: Callable[[Layer], MnetError]
) -> GraphFiles:
    """The files of network `own` that came from `path`; `doc` stands above its model.

    `stored_twice` refuses a layer that the quantized graph cannot keep. Raises `MnetError`: what that gives, MN1703,
    MN0706, and `TOO_LARGE`.
    """
    plan = outline(graph)
    module = _built(SourceFile(f"{own}.mnet", network_text(graph, plan, own, doc, {})), path).module
    names = match(graph, plan.layers(), module)
    rows: list[Row] = []
    if graph.quantized:
        needed = tensor_names(quantizable(module))
        lost = next(lost_layers(graph, names, needed), None)
        if lost is not None:
            raise stored_twice(lost)
        rows = table_rows(graph, names, needed)
        instance = _built(SourceFile(f"{own}.mnet", network_text(graph, plan, own, doc, {}, rows)), path)
        assert instance.deployment is not None
        assert instance.deployment.quantization is not None
        module = apply_quantization(module, instance.deployment.quantization)
    arrays = weight_arrays(graph, names, expected_weights(module))
    for key, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise MnetError(not_finite(path, key))
    labels = {output.name: f"{own}_{output.name}.txt" for output in graph.outputs if output.labels}
    files = {
        f"{own}.mnet": network_text(graph, plan, own, doc, labels, rows).encode(),
        f"{own}.safetensors": safetensors.to_bytes(arrays),
    }
    for output in graph.outputs:
        if output.name in labels:
            files[labels[output.name]] = ("\n".join(output.labels) + "\n").encode()
    return GraphFiles(plan, names, arrays, files)


def _built(source: SourceFile, path: str) -> sema.Instance:
    """The graph of the written text; what the language refuses for its size is the file's fault, else it is ours."""
    try:
        return sema.build(source)
    except MnetError as problem:
        codes = {each.code for each in problem.diagnostics}
        if codes <= TOO_LARGE:
            raise
        if codes == {"MN1801"}:
            raise bad_quantization(path, "numbers", problem.diagnostics[0].message) from None
        raise NotTheSameError(f"the text is refused: {problem.diagnostics[0].message}") from problem


def own_name(path: str) -> str:
    """A name of the language from that of the file."""
    stem = re.sub(r"\W+", "_", PurePath(path).stem, flags=re.ASCII).strip("_")
    if not stem or not stem[0].isalpha():
        stem = f"net_{stem}".rstrip("_")
    return f"{stem}_net" if stem in (*KEYWORDS, *OTHER_WORDS) else stem


def origin(path: str, graph: ImportGraph, operators: int) -> str:
    """The sentence above the model."""
    return f"Imported from `{PurePath(path).name}`: {_kind(graph)}, {operators} operators."


def _kind(graph: ImportGraph) -> str:
    kinds = Counter(value.storage.element for value in graph.values.values() if value.storage is not None)
    if not kinds:
        return "float32"
    name = {"i8": "int8", "u8": "uint8", "i16": "int16"}[kinds.most_common(1)[0][0]]
    per_channel = any(
        layer.filter is not None and layer.filter.quantization is not None and len(layer.filter.quantization.scales) > 1
        for layer in graph.layers
    )
    return f"{name}, weights per {'channel' if per_channel else 'tensor'}"


def graph_facts(graph: ImportGraph, found: GraphFiles, operators: int) -> tuple[Fact, ...]:
    """What is reported of an import from a file of so many `operators`."""
    facts = [Fact("numbers", _kind(graph), f"{operators} operators, {len(found.names.layers)} layers")]
    for item in found.plan.items:
        if isinstance(item, Run):
            kind = found.plan.definitions[item.definition].kind.replace("_", " ")
            facts.append(Fact(item.name, f"{len(item.blocks)} x {kind}", "the layers follow each other in this way"))
    for port in graph.inputs:
        sizes = "x".join(map(str, port.shape[1:]))
        why = f"mean {_plain(port.mean)}, std {_plain(port.std)}" if port.image else "no image: not normalized"
        facts.append(Fact(port.name, sizes, f"{port.element.lower()} in the file; {why}"))
    for output in graph.outputs:
        sizes = "x".join(map(str, graph.values[output.value].shape[1:]))
        labels = f"{len(output.labels)} labels" if output.labels else "no labels"
        facts.append(Fact(output.name, sizes, labels))
    return tuple(facts)


def _plain(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
