"""Which network of the zoo, at which width, a checkpoint holds: by the names and shapes of its tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from mnetdsl import resources
from mnetdsl.importers.checkpoint import Checkpoint
from mnetdsl.importers.layouts import Conversion, find_conversion, our_shape
from mnetdsl.importers.names import DIALECTS, Dialect, own_dialect
from mnetdsl.ir.types import Shape
from mnetdsl.sema import Instance, build
from mnetdsl.sema.values import Value
from mnetdsl.syntax.reader import read_source
from mnetdsl.weights.entry import Entry
from mnetdsl.weights.expected import Expected, expected_weights

ALPHAS = (0.1, 0.2, 0.25, 0.3, 0.35, 0.375, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0, 1.1, 1.2, 1.25, 1.3, 1.4, 1.5, 2.0)
"""Widths that people train; another one is found from the ratio of channels."""
CLASSIFIER = "logits"
_NAMES_IN_COMMON = 0.4
"""Below this share of our names in the file it is no candidate."""
_CANDIDATES = 6
_MAX_CLASSES = 100_000
_BLOCK_ENDS = ("project.norm.weight", "pointwise.norm.weight")
"""Their channels are a multiple of the width; those inside a block are a multiple of these."""


@dataclass(frozen=True)
class Candidate:
    """A network of the zoo laid beside a checkpoint. `theirs` is their tensor for each of ours."""

    dialect: Dialect
    alpha: float
    classes: int | None
    expected: Mapping[str, Expected]
    theirs: Mapping[str, str]
    entries: Mapping[str, Entry]

    @property
    def missing(self) -> list[str]:
        return [name for name in self.expected if self.theirs.get(name, "") not in self.entries]

    @cached_property
    def conversions(self) -> dict[str, Conversion]:
        """How each tensor that is there and has the right sizes becomes ours."""
        found: dict[str, Conversion] = {}
        for name, item in self.expected.items():
            entry = self.entries.get(self.theirs.get(name, ""))
            if entry is None:
                continue
            conversion = find_conversion(self.dialect.source, *_role(item), entry.shape, item.type.shape)
            if conversion is not None:
                found[name] = conversion
        return found

    @cached_property
    def misshapen(self) -> list[str]:
        """Our names of tensors that are there with other sizes, in the order of the network."""
        missing = set(self.missing)
        return [name for name in self.expected if name not in missing and name not in self.conversions]

    @property
    def complete(self) -> bool:
        """Whether every tensor of ours is there with its sizes; there may be surplus ones."""
        return not self.missing and not self.misshapen

    @property
    def surplus(self) -> list[str]:
        used = set(self.theirs.values())
        return [name for name in self.entries if name not in used]

    @property
    def share(self) -> float:
        """Of our tensors and theirs, how many fit."""
        return len(self.conversions) / max(1, len(self.expected) + len(self.surplus))

    def shape_of_theirs(self, name: str) -> Shape:
        """Sizes of their tensor for our `name`, laid out as ours."""
        entry = self.entries[self.theirs[name]]
        return our_shape(self.dialect.source, *_role(self.expected[name]), entry.shape)


def zoo_instance(network: str, parameters: Mapping[str, Value]) -> Instance:
    source = read_source(resources.zoo_folder() / f"{network}.mnet")
    return build(source, network, parameters)


def recognize(checkpoint: Checkpoint, parameters: Mapping[str, Value]) -> Candidate | None:
    """The network that fits best, not necessarily well; None where no names are in common.

    `parameters` fixes what the caller knows, such as alpha.
    """
    layers = frozenset(name.rpartition(".")[0] for name in checkpoint.entries)
    ranked: list[tuple[float, Dialect, dict[str, Expected], dict[str, str]]] = []
    for dialect in _dialects(checkpoint):
        expected = expected_weights(zoo_instance(dialect.network, {}).module)
        theirs = _their_names(expected, dialect, layers)
        common = sum(name in checkpoint.entries for name in theirs.values())
        share = common / max(len(expected), len(checkpoint.entries))
        if common / len(expected) >= _NAMES_IN_COMMON:
            ranked.append((share, dialect, expected, theirs))
    ranked.sort(key=lambda item: -item[0])
    best: Candidate | None = None
    for _, dialect, expected, theirs in ranked[:_CANDIDATES]:
        for alpha in _alphas(checkpoint, expected, theirs, dialect, parameters):
            candidate = lay_beside(checkpoint, dialect, {**parameters, "alpha": alpha})
            if best is None or candidate.share > best.share:
                best = candidate
        if best is not None and best.complete and not best.surplus:
            break
    return best


def lay_beside(checkpoint: Checkpoint, dialect: Dialect, parameters: Mapping[str, Value]) -> Candidate:
    """The network at the given width, with as many classes as the checkpoint's classifier has."""
    layers = frozenset(name.rpartition(".")[0] for name in checkpoint.entries)
    parameters = {**dict(dialect.fixed), **parameters}
    plain = expected_weights(zoo_instance(dialect.network, parameters).module)
    theirs = _their_names(plain, dialect, layers)
    theirs = _other_classifier(checkpoint, dialect, plain, theirs)
    classes = _classes(checkpoint, dialect, plain, theirs)
    given = dict(parameters) if classes is None else {"classes": classes, **parameters}
    expected = expected_weights(zoo_instance(dialect.network, given).module)
    alpha = parameters.get("alpha", 1.0)
    return Candidate(
        dialect,
        float(alpha) if isinstance(alpha, int | float) else 1.0,
        classes,
        expected,
        theirs,
        checkpoint.entries,
    )


def _dialects(checkpoint: Checkpoint) -> list[Dialect]:
    found = [dialect for dialect in DIALECTS if dialect.source == checkpoint.source]
    own = [
        own_dialect(network, "same", 1e-3)
        for network in sorted({dialect.network for dialect in DIALECTS})
        if checkpoint.source != "Keras" and "stem.conv.weight" in checkpoint.entries
    ]
    layers = frozenset(name.rpartition(".")[0] for name in checkpoint.entries)
    dialects = [*own, *found]
    # The first layer's name tells most of them apart, and saves expanding the other networks.
    likely = [each for each in dialects if not layers.isdisjoint(each.foreign(["stem.conv"], layers).values())]
    return likely or dialects


def _role(item: Expected) -> tuple[str, str]:
    return (item.op.opcode if item.op is not None else "", item.operand or "")


def _their_names(expected: Mapping[str, Expected], dialect: Dialect, layers: frozenset[str]) -> dict[str, str]:
    ours = dict.fromkeys(name.rpartition(".")[0] for name in expected)
    foreign = dialect.foreign(ours, layers)
    found: dict[str, str] = {}
    for name in expected:
        layer, _, part = name.rpartition(".")
        if layer in foreign:
            found[name] = f"{foreign[layer]}.{part}"
            if layer.endswith("channel_scale") and dialect.source == "PyTorch":
                found[name] = f"{foreign[layer]}.gamma"
    return found


def _other_classifier(
    checkpoint: Checkpoint, dialect: Dialect, expected: Mapping[str, Expected], theirs: Mapping[str, str]
) -> dict[str, str]:
    """A classifier of another name: the only other layer that takes what our classifier takes."""
    ours = f"{CLASSIFIER}.weight"
    names = dict(theirs)
    if ours not in expected or names.get(ours, "") in checkpoint.entries:
        return names
    used = set(names.values())
    width = expected[ours].type.shape[0]
    fitting = [
        name
        for name, entry in checkpoint.entries.items()
        if name not in used
        and name.endswith(".weight")
        and len(entry.shape) in (2, 4)
        and our_shape(dialect.source, "dense", "filter", entry.shape)[0] == width
    ]
    if len(fitting) == 1:
        layer = fitting[0].removesuffix(".weight")
        names[ours] = f"{layer}.weight"
        names[f"{CLASSIFIER}.bias"] = f"{layer}.bias"
    return names


def _classes(
    checkpoint: Checkpoint, dialect: Dialect, expected: Mapping[str, Expected], theirs: Mapping[str, str]
) -> int | None:
    """As many as the classifier's bias has, else the side of its filter that is not its input's."""
    bias = checkpoint.entries.get(theirs.get(f"{CLASSIFIER}.bias", ""))
    weight = checkpoint.entries.get(theirs.get(f"{CLASSIFIER}.weight", ""))
    if bias is not None and len(bias.shape) == 1:
        count = bias.shape[0]
    elif weight is not None and len(weight.shape) in (2, 4):
        count = our_shape(dialect.source, "dense", "filter", weight.shape)[-1]
    else:
        return None
    return count if 1 <= count <= _MAX_CLASSES else None


def _alphas(
    checkpoint: Checkpoint,
    expected: Mapping[str, Expected],
    theirs: Mapping[str, str],
    dialect: Dialect,
    parameters: Mapping[str, Value],
) -> list[float]:
    """At most three widths at which most blocks have as many channels as in the file, the usual ones first."""
    given = parameters.get("alpha")
    if isinstance(given, int | float):
        return [float(given)]
    channels: Counter[tuple[int, int]] = Counter()
    for name, item in expected.items():
        entry = checkpoint.entries.get(theirs.get(name, ""))
        if name.endswith(_BLOCK_ENDS) and entry is not None and len(entry.shape) == 1:
            channels[item.type.shape[0], entry.shape[0]] += 1
    if not channels:
        return [1.0]
    # Where a block has `found` channels for our `ours`, the width is between (found - 4) / ours and (found + 4) / ours.
    between = {ceil(value / ours * 1e4) / 1e4 for ours, found in channels for value in (found - 4, found)}
    tried = [*ALPHAS, *sorted(alpha for alpha in between - set(ALPHAS) if 0.05 <= alpha <= 4.0)]

    def fitting(alpha: float) -> int:
        return sum(count for (ours, found), count in channels.items() if _round8(ours * alpha) == found)

    def distance(alpha: float) -> float:
        return sum(count * abs(ours * alpha - found) / ours for (ours, found), count in channels.items())

    return sorted(tried, key=lambda alpha: (-fitting(alpha), alpha not in ALPHAS, distance(alpha)))[:3]


def _round8(value: float) -> int:
    """The language's `round8` (Sandler et al. 2018): the nearest multiple of 8, never below 90 %."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded
