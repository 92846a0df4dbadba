"""TensorFlow Lite files as networks of the language.

imported = import_tflite("vww_96_int8.tflite")
write_folder(Path("build/vww"), imported.files)
"""

from __future__ import annotations

from pathlib import Path

from mnetdsl.files import MAX_WEIGHTS, read_bytes
from mnetdsl.importers.result import Imported
from mnetdsl.importers.tflite.convert import convert
from mnetdsl.importers.tflite.metadata import read_metadata
from mnetdsl.importers.tflite.pixels import Pixels
from mnetdsl.importers.tflite.problems import two_stores
from mnetdsl.importers.tflite.reader import read_model, require_plain
from mnetdsl.importers.tflite.simplify import simplify
from mnetdsl.importers.tflite.tensors import tensor_map

__all__ = ["import_tflite"]


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
    # Here, since it builds on modules of this package, and may be imported before them.
    from mnetdsl.importers.graph_files import graph_facts, graph_files, origin, own_name

    model = read_model(data, path)
    require_plain(model)
    metadata = read_metadata(model, data)
    graph = simplify(convert(model, Pixels(mean, std, metadata), metadata.labels))
    own = name or own_name(path)
    count = len(model.operators)
    found = graph_files(
        graph,
        own,
        [origin(path, graph, count)],
        path,
        lambda layer: two_stores(path, model.operators[layer.operator]),
    )
    return Imported(
        name=own,
        network="network",
        library="TensorFlow Lite",
        parameters={},
        facts=graph_facts(graph, found, count),
        notes=(*metadata.notes, *graph.notes),
        matched=len(found.arrays),
        surplus=(),
        counters=(),
        files={**found.files, f"{own}.tensors.json": tensor_map(graph, found.names, path, data)},
    )
