"""Checkpoints of other libraries as networks of the zoo with weights.

imported = import_checkpoint("mobilenet_v2.pth")
write_folder(Path("build/v2"), imported.files)      # mobilenet_v2_100_224.mnet and .safetensors
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.importers.checkpoint import Checkpoint, read_checkpoint
from mnetdsl.importers.layouts import Conversion
from mnetdsl.importers.network_text import literal, network_text
from mnetdsl.importers.problems import refuse_other_width, require_fit
from mnetdsl.importers.recognize import Candidate, recognize, zoo_instance
from mnetdsl.importers.result import Fact, Imported
from mnetdsl.sema.values import Symbol, Value
from mnetdsl.weights import safetensors
from mnetdsl.weights.entry import Entry
from mnetdsl.weights.expected import expected_weights
from mnetdsl.weights.match import match_weights

__all__ = ["Fact", "Imported", "import_checkpoint"]

_WIDENED = {"F16": "half", "float16": "half", "BF16": "bfloat16"}


def import_checkpoint(
    path: str | Path,
    *,
    name: str | None = None,
    key: str | None = None,
    parameters: Mapping[str, Value] | None = None,
    ignore_surplus: bool = False,
) -> Imported:
    """Reads a Keras, PyTorch or safetensors checkpoint of a zoo network; runs nothing that is in it.

    `name` is that of the deployment and the files, `key` the part of a PyTorch file with the weights. `parameters`
    overrule what is found out, such as resolution, padding and epsilon. Raises `MnetError` as `read_checkpoint` and
    `require_fit` do, and MN0705 to MN0707 for values that are no weights.
    """
    given = dict(parameters or {})
    checkpoint = read_checkpoint(path, key)
    best = recognize(checkpoint, {"alpha": given["alpha"]} if "alpha" in given else {})
    if "alpha" in given and (best is None or not best.complete):
        refuse_other_width(checkpoint, given["alpha"], recognize(checkpoint, {}))
    candidate = require_fit(checkpoint, best, ignore_surplus=ignore_surplus)
    facts, arguments = _findings(checkpoint, candidate, given)
    arrays = _arrays(checkpoint, candidate, arguments)
    resolution = zoo_instance(candidate.dialect.network, arguments).parameters.get("resolution")
    own = name or f"{candidate.dialect.network}_{round(candidate.alpha * 100):03d}_{resolution}"
    doc = [
        f"Weights of `{Path(checkpoint.path).name}`, with the names of {candidate.dialect.library}.",
    ]
    text = network_text(
        candidate.dialect.network,
        own,
        arguments,
        candidate.dialect.mean,
        candidate.dialect.std,
        doc,
    )
    return Imported(
        own,
        candidate.dialect.network,
        candidate.dialect.library,
        arguments,
        facts,
        (*checkpoint.notes, *_notes(candidate), *_padding_note(candidate, resolution)),
        len(candidate.conversions),
        tuple(candidate.surplus),
        checkpoint.counters,
        {f"{own}.mnet": text.encode(), f"{own}.safetensors": safetensors.to_bytes(arrays)},
    )


def _findings(
    checkpoint: Checkpoint, candidate: Candidate, given: Mapping[str, Value]
) -> tuple[tuple[Fact, ...], dict[str, Value]]:
    """What was recognized and why, and the parameters of the model that follow from it."""
    dialect = candidate.dialect
    defaults = zoo_instance(dialect.network, {}).parameters
    facts = [
        Fact(
            "network",
            dialect.network,
            f"{len(candidate.conversions)} of {len(candidate.expected)} tensors have its shapes and the names of "
            f"{dialect.library}",
        )
    ]
    stem = candidate.expected["stem.conv.weight"].type.shape[-1]
    found: dict[str, tuple[Value, str]] = {
        "alpha": (candidate.alpha, f"the channels of all layers, {stem} in the first"),
        "resolution": _resolution(checkpoint, defaults),
        "classes": (candidate.classes or defaults["classes"], "the width of the classifier"),
        "padding": (Symbol(dialect.padding), f"{dialect.library} pads like this"),
        "epsilon": (dialect.epsilon, f"the default of {dialect.library}"),
    }
    if checkpoint.epsilon is not None:
        found["epsilon"] = (checkpoint.epsilon, "stated in the checkpoint")
    if candidate.alpha > 1:
        found |= {name: (value, f"the same at every width of {dialect.library}") for name, value in dialect.fixed}
    arguments: dict[str, Value] = {}
    for name, (value, why) in found.items():
        chosen = given.get(name, value)
        facts.append(Fact(name, literal(chosen), "as you said" if name in given else why))
        if chosen != defaults.get(name) or name in ("alpha", "resolution"):
            arguments[name] = chosen
    arguments |= {name: value for name, value in given.items() if name not in found}
    if dialect.mean:
        pixels = f"(pixel - {literal(dialect.mean)}) / {literal(dialect.std)}"
        facts.append(Fact("input", pixels, f"networks of {dialect.library} are mostly trained on this"))
    return tuple(facts), arguments


def _resolution(checkpoint: Checkpoint, defaults: Mapping[str, Value]) -> tuple[Value, str]:
    if checkpoint.resolution is not None:
        return checkpoint.resolution, "stated in the checkpoint"
    return defaults["resolution"], "the default: weights do not tell it"


def _arrays(
    checkpoint: Checkpoint, candidate: Candidate, arguments: Mapping[str, Value]
) -> dict[str, NDArray[np.generic]]:
    module = zoo_instance(candidate.dialect.network, arguments).module
    entries = {
        name: _converted(checkpoint.entries[candidate.theirs[name]], conversion)
        for name, conversion in candidate.conversions.items()
    }
    return match_weights(expected_weights(module), entries, checkpoint.path)


def _converted(entry: Entry, conversion: Conversion) -> Entry:
    if entry.read is None:
        return Entry(conversion.shape, entry.element, None)
    return Entry(conversion.shape, entry.element, partial(_apply, entry, conversion))


def _apply(entry: Entry, conversion: Conversion) -> NDArray[np.generic]:
    if entry.read is None:
        raise AssertionError("an element type without reader is refused before")
    return conversion.apply(entry.read())


def _padding_note(candidate: Candidate, resolution: object) -> list[str]:
    """keras.applications pads the strided layers of V1 by ((0, 1), (0, 1)), which is `same` for even sizes only."""
    dialect = candidate.dialect
    if (dialect.network, dialect.library) != ("mobilenet_v1", "Keras") or not isinstance(resolution, int):
        return []
    return [] if resolution % 32 == 0 else [f"Keras pads otherwise at {resolution}, which is no multiple of 32"]


def _notes(candidate: Candidate) -> list[str]:
    notes = [
        f"`{candidate.theirs[name]}` {conversion.note}: turned"
        for name, conversion in candidate.conversions.items()
        if conversion.note
    ]
    elements = Counter(
        _WIDENED[element]
        for name in candidate.conversions
        if (element := candidate.entries[candidate.theirs[name]].element) in _WIDENED
    )
    notes += [f"{count} tensors are {element}: widened to float32 exactly" for element, count in elements.items()]
    return notes
