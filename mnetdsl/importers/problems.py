"""Why a checkpoint is not imported: said with the network it comes nearest to, and the first tensor that differs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mnetdsl.diagnostics import Diagnostic, MnetError, error
from mnetdsl.importers.checkpoint import Checkpoint
from mnetdsl.importers.recognize import CLASSIFIER, Candidate
from mnetdsl.ir.types import Shape

MAX_LISTED = 12
_SIMILAR = 0.5
"""With a smaller share of fitting tensors the nearest network says little."""
_TELLTALES: tuple[tuple[str, str], ...] = (
    (
        r"box_?predictor|class_?predictor|(^|\.)rpn\.|anchor|(^|\.)bbox|regression_head|classification_head|fpn",
        "detector",
    ),
    (
        r"(^|\.)aspp|classifier\.0\.convs\.|aux_classifier|low_classifier|high_classifier|(^|\.)cbr\.|image_pooling|segmentation",
        "segmentation network",
    ),
    (r"denseblock|dense_block|^pool[2-4]_bn", "DenseNet"),
    (r"^layer[1-4]\.0\.(conv|bn)1|resnet|res2a|conv2_block1", "ResNet"),
    (r"^(blocks|encoder\.layers?)\..*(attn\.qkv|self_attention)|patch_embed|class_token", "vision transformer"),
    (r"^stages\.\d+\.blocks\..*(dwconv|conv_dw)\.|^features\.\d+\.\d+\.layer_scale", "ConvNeXt"),
    (r"block1a_|^features\.\d+\.\d+\.block\.", "EfficientNet"),
    (r"^model\.\d+\.(cv1|conv)\.|^\d+\.cv1\.|darknet", "YOLO"),
    (r"^features\.\d+\.squeeze\.", "SqueezeNet"),
    (r"^block[1-5]_conv[1-4]|^features\.\d+\.weight$", "VGG or AlexNet"),
)
"""Names -> what a checkpoint with such names is."""
_HEADS = ("detector", "segmentation network")


def require_fit(checkpoint: Checkpoint, best: Candidate | None, *, ignore_surplus: bool) -> Candidate:
    """`best` where all of its tensors are there; else raises `MnetError`.

    MN1507 another architecture, MN1508 a detector or segmentation network, MN1509 a near miss, MN1510 surplus
    tensors, MN1512 no classifier.
    """
    kind = _kind(checkpoint.entries)
    if kind in _HEADS:
        raise MnetError(_with_heads(checkpoint, kind))
    if best is None or ((best.misshapen or best.missing) and best.share < _SIMILAR):
        raise MnetError(_unknown(checkpoint, best, kind))
    without = {f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias"}
    if not best.misshapen and best.missing and without.issuperset(best.missing):
        raise MnetError(_without_classifier(checkpoint, best))
    if best.misshapen or best.missing:
        raise MnetError(_near_miss(checkpoint, best))
    if best.surplus and not ignore_surplus:
        raise MnetError(_surplus(checkpoint, best))
    return best


def refuse_other_width(checkpoint: Checkpoint, given: object, found: Candidate | None) -> None:
    """Raises MN1513 where the checkpoint would fit but for the `given` width; `found` is what it is without that."""
    if found is None or not found.complete:
        return
    raise MnetError(
        error(
            "MN1513",
            f"the checkpoint is {described(found)}, not at the alpha of {given} that was given",
            location=checkpoint.path,
            help="leave alpha out: the width is found from the channels of the layers",
        )
    )


def described(candidate: Candidate) -> str:
    """`mobilenet_v2 at alpha 0.75, with torchvision's names`."""
    return f"{candidate.dialect.network} at alpha {candidate.alpha:g}, with the names of {candidate.dialect.library}"


def _kind(names: Iterable[str]) -> str:
    listed = list(names)
    for pattern, kind in _TELLTALES:
        if any(re.search(pattern, name, re.IGNORECASE) for name in listed):
            return kind
    return ""


def _with_heads(checkpoint: Checkpoint, kind: str) -> Diagnostic:
    names = [name for name in checkpoint.entries if _kind([name]) == kind]
    return error(
        "MN1508",
        f"this is the checkpoint of a {kind}, not of a classifier",
        location=checkpoint.path,
        notes=listing(names, len(names)),
        help="import takes the classification networks of the zoo; import the backbone's own checkpoint",
    )


def _unknown(checkpoint: Checkpoint, best: Candidate | None, kind: str) -> Diagnostic:
    names = list(checkpoint.entries)
    notes = [f"it has {len(names)} tensors: {', '.join(names[:4])}, …"]
    if kind:
        notes.insert(0, f"its names are those of {'an' if kind[0] in 'AEIO' else 'a'} {kind}")
    if best is not None:
        fitting = f"{len(best.conversions)} of {len(best.expected)} tensors fit"
        notes.append(f"nearest is {described(best)}: {fitting}")
    return error(
        "MN1507",
        "the checkpoint holds no network of the zoo",
        location=checkpoint.path,
        notes=tuple(notes),
        help="`mnet new` lists the zoo; another network can be written as a .mnet file and given its own weights",
    )


def _without_classifier(checkpoint: Checkpoint, best: Candidate) -> Diagnostic:
    return error(
        "MN1512",
        f"the checkpoint has no classifier: it is {described(best)}, without its last layer",
        location=checkpoint.path,
        help="import the checkpoint that has its classifier, or save this one together with the head trained on it",
    )


def _near_miss(checkpoint: Checkpoint, best: Candidate) -> Diagnostic:
    bad = {*best.misshapen, *best.missing}
    first = next(name for name in best.expected if name in bad)
    theirs = best.theirs.get(first, first)
    wanted = sizes(best.expected[first].type.shape)
    if first in best.misshapen:
        found = sizes(best.shape_of_theirs(first))
        what = f"`{theirs}` is {found}, where that network has {wanted} ({first})"
    else:
        what = f"`{theirs}` is missing, where that network has {wanted} ({first})"
    lines = [
        f"{best.theirs[name]}  {sizes(best.shape_of_theirs(name))} in place of {sizes(best.expected[name].type.shape)}"
        for name in best.misshapen
    ]
    lines += [f"{best.theirs.get(name, name)}  missing" for name in best.missing]
    lines += [f"{name}  has no place" for name in best.surplus]
    fitting = f"{len(best.conversions)} of its {len(best.expected)} tensors fit"
    return error(
        "MN1509",
        f"this looks like {described(best)}, but {what}",
        location=checkpoint.path,
        notes=(f"{fitting}; these do not:", *listing(lines, len(lines))),
        help="where the network was changed, start from `mnet new`, change it the same way and load the weights",
    )


def _surplus(checkpoint: Checkpoint, best: Candidate) -> Diagnostic:
    biases = sum(name.endswith("bias") for name in best.surplus)
    folded = biases == len(best.surplus) and biases > 1
    return error(
        "MN1510",
        f"this is {described(best)}, and {len(best.surplus)} tensors that it has no place for",
        location=checkpoint.path,
        notes=listing(best.surplus, len(best.surplus)),
        help="they are biases of convolutions: without them the network would compute something else"
        if folded
        else "`--ignore-surplus` leaves them out, where you know that classification does not need them",
    )


def listing(lines: Sequence[str], count: int) -> tuple[str, ...]:
    """At most `MAX_LISTED` of them, and how many more there are."""
    more = (f"… and {count - MAX_LISTED} more",) if count > MAX_LISTED else ()
    return (*lines[:MAX_LISTED], *more)


def sizes(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a scalar"
