"""Part of a weight file for part of a network: the backbone of a trained network under a head of one's own.

What is not taken is said beforehand, layer by layer: `new` layers of the network keep their initialization, `drop`
layers of the file are left there. All else must fit as in `load_weights`, so that a misspelt name is an error and not a
backbone that silently starts at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.ir.core import Module
from mnetdsl.ir.types import Shape
from mnetdsl.weights.entry import Entry
from mnetdsl.weights.expected import Expected, expected_weights
from mnetdsl.weights.listing import MAX_LISTED, count, listing, sizes
from mnetdsl.weights.load import read_entries
from mnetdsl.weights.match import IGNORED_SUFFIX, match_weights

_WIDTH_EVIDENCE = 3
"""So many vectors that all are longer, or all shorter, are another width rather than an accident."""


@dataclass(frozen=True)
class Transfer:
    """What came from a file and what did not. `str()` of it is for people.

    `arrays` are those taken, by the network's names. `new` are the network's tensors that keep their initialization,
    `dropped` the file's that are left there: name and sizes each.
    """

    path: str
    arrays: Mapping[str, NDArray[np.generic]]
    new: tuple[tuple[str, Shape], ...]
    dropped: tuple[tuple[str, Shape], ...]

    def __str__(self) -> str:
        lines = [f"{count(len(self.arrays), 'tensor')} taken from {self.path}"]
        lines += _section(f"{count(len(self.new), 'tensor')} new, left as initialized", self.new)
        lines += _section(f"{count(len(self.dropped), 'tensor')} of the file dropped", self.dropped)
        return "\n".join(lines)


def load_partial(
    module: Module,
    path: str | Path,
    *,
    new: Iterable[str] = (),
    drop: Iterable[str] = (),
    rename: Mapping[str, str] | None = None,
) -> Transfer:
    """Arrays for all constants of `module` but those of its layers `new`, from a `.safetensors` or `.npz` file.

    A layer is named as in `mnet summary` and stands for all below it. drop: layers of the file that nothing takes;
    those that `new` layers stand in for need not be named. rename: layer of the file -> layer of `module`, where `""`
    is all of it: `{"": "backbone"}` puts a whole network under the name `backbone`; the longest fitting one counts.

    Raises `MnetError` as `load_weights` does, MN0713 where the file is of another width, MN0714 where `new`, `drop` or
    `rename` names a layer that is not there, MN0715 where two tensors would become one.
    """
    if isinstance(new, str) or isinstance(drop, str):
        raise TypeError('`new` and `drop` are lists of layers: new=["classifier"]')
    text = str(path)
    renames = dict(rename or {})
    new, drop = tuple(new), tuple(drop)
    expected = expected_weights(module)
    entries = read_entries(path)
    # Sorted, since the order in which safetensors lists its tensors is none.
    file = {name: entries[name] for name in sorted(entries) if not name.endswith(IGNORED_SUFFIX)}
    _require_layers(expected, file, new, drop, renames, text)
    kept = {name: entry for name, entry in file.items() if not within(name, drop)}
    places = _places(kept, renames, text)
    fitting = {place: kept[name] for place, name in places.items() if not within(place, new)}
    wanted = {name: item for name, item in expected.items() if not within(name, new)}
    problems = [
        *_report_width(wanted, fitting, text),
        *_report_missing(wanted, fitting, places, text),
        *_report_surplus(wanted, fitting, places, text),
    ]
    if problems:
        raise MnetError(*problems)
    arrays = match_weights(wanted, fitting, text)
    taken = {places[name] for name in fitting}
    return Transfer(
        text,
        arrays,
        tuple((name, item.type.shape) for name, item in expected.items() if name not in wanted),
        tuple((name, entry.shape) for name, entry in file.items() if name not in taken),
    )


def within(name: str, layers: Iterable[str]) -> bool:
    """Whether `name` is one of `layers` or lies below one; the layer `""` is the whole network."""
    return any(not layer or name == layer or name.startswith(f"{layer}.") for layer in layers)


def unknown_layer(layer: str, names: Iterable[str], where: str, location: str | None = None) -> Diagnostic:
    """MN0714: no tensor of `names` lies in `layer`."""
    known = _layers(names)
    suggestion = did_you_mean(layer, known)
    top = sorted({name.partition(".")[0] for name in known})
    help = f"did you mean `{suggestion}`?" if suggestion else f"it has {', '.join(top) or 'no layers'}"
    return error("MN0714", f"{where} has no layer `{layer}` with weights", location=location, help=help)


def _require_layers(
    expected: Mapping[str, Expected],
    file: Mapping[str, Entry],
    new: Sequence[str],
    drop: Sequence[str],
    renames: Mapping[str, str],
    path: str,
) -> None:
    asked = [
        *((layer, expected, "the network") for layer in (*new, *renames.values())),
        *((layer, file, "the weight file") for layer in (*drop, *renames)),
    ]
    problems = [
        unknown_layer(layer, names, where, path)
        for layer, names, where in asked
        if not any(within(name, (layer,)) for name in names)
    ]
    if problems:
        raise MnetError(*dict.fromkeys(problems))


def _places(entries: Iterable[str], renames: Mapping[str, str], path: str) -> dict[str, str]:
    """The file's name for each of the network's that they become; others keep their name."""
    places: dict[str, str] = {}
    for name in entries:
        place = _place(name, renames)
        if place in places:
            raise MnetError(
                error(
                    "MN0715",
                    f"`{places[place]}` and `{name}` would both become `{place}`",
                    location=path,
                    help="rename other layers, or drop one of the two",
                )
            )
        places[place] = name
    return places


def _place(name: str, renames: Mapping[str, str]) -> str:
    fitting = [layer for layer in renames if within(name, (layer,))]
    if not fitting:
        return name
    layer = max(fitting, key=len)
    rest = name.removeprefix(layer).removeprefix(".")
    return f"{renames[layer]}.{rest}" if renames[layer] else rest


def _report_width(wanted: Mapping[str, Expected], entries: Mapping[str, Entry], path: str) -> list[Diagnostic]:
    """Vectors, which have one element a channel, that all differ in the same direction."""
    pairs = [
        (name, entries[name].shape[0], item.type.shape[0])
        for name, item in wanted.items()
        if name in entries and len(entries[name].shape) == len(item.type.shape) == 1
    ]
    differing = [(name, given, needed) for name, given, needed in pairs if given != needed]
    narrower = sum(given < needed for _, given, needed in differing)
    if len(differing) < _WIDTH_EVIDENCE or narrower not in (0, len(differing)):
        return []
    ratios = sorted(given / needed for _, given, needed in differing)
    ratio = f"{ratios[len(ratios) // 2]:.2f}".rstrip("0").rstrip(".")
    lines = [f"{name}  needs {needed} channels, the file has {given}" for name, given, needed in differing[:MAX_LISTED]]
    return [
        error(
            "MN0713",
            f"the weight file is of another width: mostly {ratio} times as many channels as the network",
            location=path,
            notes=listing(lines, len(differing)),
            help=(
                f"set `alpha` in the call of the block to {ratio} times what it is, or `--set alpha=…`",
                "or take a weight file of the width that you want",
            ),
        )
    ]


def _report_missing(
    wanted: Mapping[str, Expected], entries: Mapping[str, Entry], places: Mapping[str, str], path: str
) -> list[Diagnostic]:
    missing = [name for name in wanted if name not in entries]
    if not missing:
        return []
    surplus = [name for name in places if name not in wanted]
    lines = [f"{name}  {sizes(wanted[name].type.shape)}" for name in missing[:MAX_LISTED]]
    return [
        error(
            "MN0702",
            f"{count(len(missing), 'tensor')} of the network missing from the weight file",
            location=path,
            notes=listing(lines, len(missing)),
            help=_renaming(missing, surplus) or _declaration("new", _covering(missing, wanted)),
        )
    ]


def _report_surplus(
    wanted: Mapping[str, Expected], entries: Mapping[str, Entry], places: Mapping[str, str], path: str
) -> list[Diagnostic]:
    surplus = [name for name in entries if name not in wanted]
    missing = [name for name in wanted if name not in entries]
    if not surplus or _renaming(missing, surplus):
        return []  # what another name explains was said with the missing ones
    theirs = [places[name] for name in surplus]
    lines = [f"{places[name]}  {sizes(entries[name].shape)}" for name in surplus[:MAX_LISTED]]
    return [
        error(
            "MN0703",
            f"the weight file has {count(len(surplus), 'tensor')} that the network does not use",
            location=path,
            notes=listing(lines, len(surplus)),
            help=_declaration("drop", _covering(theirs, places.values())),
        )
    ]


def _renaming(missing: Sequence[str], surplus: Sequence[str]) -> tuple[str, ...]:
    """The prefix that explains most of what is missing: the network's own, or the file's."""
    found: Counter[tuple[str, str]] = Counter()
    theirs, ours = set(surplus), set(missing)
    for longer, shorter, turned in ((missing, theirs, False), (surplus, ours, True)):
        for name in longer:
            parts = name.split(".")
            for cut in range(1, len(parts) - 1):
                prefix, rest = ".".join(parts[:cut]), ".".join(parts[cut:])
                if rest in shorter:
                    found[(prefix, "") if turned else ("", prefix)] += 1
    if not found:
        return ()
    (old, new), explained = max(found.items(), key=lambda item: (item[1], item[0]))
    if 2 * explained < min(len(missing), len(surplus)):
        return ()
    where = f"lie under `{new}` in the network" if new else f"lie under `{old}` in the file"
    return (f'{explained} of them {where}: say `rename={{"{old}": "{new}"}}`, or `--rename {old}={new}`',)


def _covering(names: Sequence[str], everything: Iterable[str]) -> list[str]:
    """The fewest layers that hold all of `names` and nothing else of `everything`."""
    chosen = set(names)
    others = [name for name in everything if name not in chosen]
    found: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        prefixes = (".".join(parts[:cut]) for cut in range(1, len(parts) + 1))
        found[next(prefix for prefix in prefixes if not any(within(other, (prefix,)) for other in others))] = None
    return list(found)


def _declaration(word: str, layers: Sequence[str]) -> tuple[str, ...]:
    shown = layers[:MAX_LISTED]
    quoted = ", ".join(f'"{layer}"' for layer in shown) + (", …" if len(layers) > len(shown) else "")
    options = " ".join(f"--{word} {layer}" for layer in shown) + (" …" if len(layers) > len(shown) else "")
    meaning = "start anew" if word == "new" else "are not wanted"
    return (f"if they {meaning}, say so: `{word}=[{quoted}]`, or `{options}`", "else compare the names: `mnet summary`")


def _layers(names: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        found.update(dict.fromkeys(".".join(parts[:cut]) for cut in range(1, len(parts))))
    return list(found)


def _section(title: str, tensors: Sequence[tuple[str, Shape]]) -> list[str]:
    if not tensors:
        return []
    lines = [f"{name}  {sizes(shape)}" for name, shape in tensors[:MAX_LISTED]]
    return [f"{title}:", *(f"  {line}" for line in listing(lines, len(tensors)))]
