"""ONNX files as networks of the language.

imported = import_onnx("mobilenet_v2.onnx")
write_folder(Path("build/v2"), imported.files)
"""

from __future__ import annotations

from pathlib import Path

from mnetdsl.files import MAX_WEIGHTS, read_bytes
from mnetdsl.importers.graph_files import graph_facts, graph_files, origin, own_name
from mnetdsl.importers.onnx.convert import convert
from mnetdsl.importers.onnx.problems import two_stores
from mnetdsl.importers.onnx.reader import read_model
from mnetdsl.importers.result import Imported
from mnetdsl.importers.tflite.simplify import simplify

__all__ = ["import_onnx"]


def import_onnx(
    path: str | Path,
    *,
    name: str | None = None,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
) -> Imported:
    """The network in an `.onnx` file as `<name>.mnet` and `.safetensors`.

    `name` is that of the deployment and the files, by default the file's own. `mean` and `std` are those of pixels,
    for a float input whose file does not say. Raises `MnetError`: MN1704 to MN1708, MN0706, MN09xx.
    """
    data = read_bytes(path, what="ONNX model", limit=MAX_WEIGHTS)
    return import_bytes(data, str(path), name=name, mean=mean, std=std, folder=Path(path).parent)


def import_bytes(
    data: bytes,
    path: str,
    *,
    name: str | None = None,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    folder: Path | None = None,
) -> Imported:
    """As `import_onnx`, for the bytes of the file `path`; weights in other files are read from `folder` alone."""
    model = read_model(data, path, folder)
    graph = simplify(convert(model, mean, std))
    own = name or own_name(path)
    count = len(model.nodes)
    found = graph_files(graph, own, [origin(path, graph, count)], path, lambda layer: two_stores(path, layer.operator))
    return Imported(
        name=own,
        network="network",
        library="ONNX",
        parameters={},
        facts=graph_facts(graph, found, count),
        notes=graph.notes,
        matched=len(found.arrays),
        surplus=(),
        counters=(),
        files=found.files,
    )
