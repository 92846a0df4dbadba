"""TensorFlow Lite files as networks of the language.

imported = import_tflite("vww_96_int8.tflite")
write_folder(Path("build/vww"), imported.files)
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path, PurePath

import numpy as np

from mnetdsl import sema
from mnetdsl.diagnostics import MnetError
from mnetdsl.files import MAX_WEIGHTS, read_bytes
from mnetdsl.importers.result import Fact, Imported
from mnetdsl.importers.tflite.convert import convert
from mnetdsl.importers.tflite.flat import FlatModel
from mnetdsl.importers.tflite.graph import ImportGraph
from mnetdsl.importers.tflite.match import Names, NotTheSameError, match
from mnetdsl.importers.tflite.metadata import read_metadata
from mnetdsl.importers.tflite.network_text import Row, network_text
from mnetdsl.importers.tflite.outline import Outline, Run, outline
from mnetdsl.importers.tflite.pixels import Pixels
from mnetdsl.importers.tflite.problems import bad_quantization, constant_operand, not_finite, two_stores
from mnetdsl.importers.tflite.reader import read_model, require_plain
from mnetdsl.importers.tflite.simplify import simplify
from mnetdsl.importers.tflite.tensors import lost_layers, table_rows, tensor_map, weight_arrays
from mnetdsl.quantize.apply import apply_quantization, quantizable, tensor_names
from mnetdsl.source import SourceFile
from mnetdsl.syntax.mistakes import KEYWORDS
from mnetdsl.weights import safetensors
from mnetdsl.weights.expected import expected_weights

__all__ = ["import_tflite"]

OTHER_WORDS = ("as", "in", "of", "mnet", "and", "or", "not", "true", "false")
TOO_LARGE = {"MN0503", "MN0506"}
"""More operations, or larger tensors, than a network of the language may have."""


def import_tflite(
    path: str | Path,
    *,
    name: str | None = None,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
) -> Imported:
    """The network in a `.tflite` file as `<name>.mnet`, `.safetensors` and `.tensors.json`, with its labels.

    `name` is that of the deployment and the files, by default the file's own. `mean` and `std` are those of pixels,
    for a float input whose file does not say. Raises `MnetError`: MN1701 to MN1705, MN0706, MN09xx.
    """
    data = read_bytes(path, what="TensorFlow Lite model", limit=MAX_WEIGHTS)
    return import_bytes(data, str(path), name=name, mean=mean, std=std)


def import_bytes(
    data: bytes,
    path: str,
    *,
    name: str | None = None,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
) -> Imported:
    """As `import_tflite`, for the bytes of the file `path`."""
    model = read_model(data, path)
    require_plain(model)
    metadata = read_metadata(model, data)
    graph = simplify(convert(model, Pixels(mean, std, metadata), metadata.labels))
    held = [layer for layer in graph.layers if layer.constants]
    if held and not takes_numbers():
        raise constant_operand(path, [model.operators[layer.operator] for layer in held])
    plan = outline(graph)
    own = name or own_name(path)
    doc = _doc(model, graph)
    module = _built(SourceFile(f"{own}.mnet", network_text(graph, plan, own, doc, {})), path).module
    names = match(graph, plan.layers(), module)
    rows: list[Row] = []
    if graph.quantized:
        needed = tensor_names(quantizable(module))
        lost = next(lost_layers(graph, names, needed), None)
        if lost is not None:
            raise two_stores(path, model.operators[lost.operator])
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
        f"{own}.tensors.json": tensor_map(graph, names, path, data),
    }
    for output in graph.outputs:
        if output.name in labels:
            files[labels[output.name]] = ("\n".join(output.labels) + "\n").encode()
    return Imported(
        name=own,
        network="network",
        library="TensorFlow Lite",
        parameters={},
        facts=_facts(model, graph, plan, names),
        notes=(*metadata.notes, *graph.notes),
        matched=len(arrays),
        surplus=(),
        counters=(),
        files=files,
    )


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


@cache
def takes_numbers() -> bool:
    """Whether this edition of the language adds and multiplies a tensor and a number."""
    text = "mnet 1\n\nmodel probe() {\n  input x: f32[4]\n  output y = x * 0.5 + 1.0\n}\n"
    try:
        sema.build(SourceFile("probe.mnet", text))
    except MnetError:
        return False
    return True


def own_name(path: str) -> str:
    """A name of the language from that of the file."""
    stem = re.sub(r"\W+", "_", PurePath(path).stem, flags=re.ASCII).strip("_")
    if not stem or not stem[0].isalpha():
        stem = f"net_{stem}".rstrip("_")
    return f"{stem}_net" if stem in (*KEYWORDS, *OTHER_WORDS) else stem


def _doc(model: FlatModel, graph: ImportGraph) -> list[str]:
    kind = _kind(graph)
    return [f"Imported from `{PurePath(model.path).name}`: {kind}, {len(model.operators)} operators."]


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


def _facts(model: FlatModel, graph: ImportGraph, plan: Outline, names: Names) -> tuple[Fact, ...]:
    facts = [Fact("numbers", _kind(graph), f"{len(model.operators)} operators, {len(names.layers)} layers")]
    for item in plan.items:
        if isinstance(item, Run):
            kind = plan.definitions[item.definition].kind.replace("_", " ")
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
