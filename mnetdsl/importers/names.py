"""What Keras, torchvision and timm call the layers of each network of the zoo, as tables.

A row is our layer and theirs. In ours `*` is the number of the block. Theirs may use

    {n}, {n1}   the number of the block, from 0 and from 1
    {s}, {r}    its stage and its place in the stage, as `stages` divides the blocks
    {k}, {k1}   which part of its block the layer is in, from 0 and from 1 (expand, depthwise, squeeze, project)
    {c}         which convolution with batch normalization of its block it is, from 1

and `|` between names of which one is in the file. The first row that fits counts.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

TENSORFLOW = ((127.5,), (127.5,))
"""Mean and standard deviation of pixels from 0 to 255: the input becomes -1 to 1."""
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Dialect:
    """How one library writes one network, and how its weights were trained.

    `stages`: how many blocks each stage has; the first stage has the number `first_stage`. `fixed` are parameters of
    our model that the library leaves no choice of.
    """

    network: str
    library: str
    source: str
    rows: Rows
    mean: tuple[float, ...]
    std: tuple[float, ...]
    padding: str
    epsilon: float
    stages: tuple[int, ...] = ()
    first_stage: int = 0
    fixed: tuple[tuple[str, bool], ...] = ()

    def foreign(self, layers: Iterable[str], present: frozenset[str]) -> dict[str, str]:
        """Our layers -> their layers; of alternatives that which is among `present`, else the first."""
        ordered = list(layers)
        parts = _parts(ordered)
        found: dict[str, str] = {}
        for layer in ordered:
            theirs = self._row(layer)
            if theirs is None:
                continue
            names = [name.format(**self._places(layer, parts)) for name in theirs.split("|")]
            found[layer] = next((name for name in names if name in present), names[0])
        return found

    def _row(self, layer: str) -> str | None:
        if not self.rows:
            return layer
        pattern = re.sub(r"^(body|early)\.\d+\.", r"\1.*.", f"{layer}.").rstrip(".")
        pattern = re.sub(r"^(early)\.\d+$", r"\1.*", pattern)
        rows = dict(reversed(self.rows))
        return rows.get(layer, rows.get(pattern))

    def _places(self, layer: str, parts: Mapping[str, Sequence[str]]) -> dict[str, int]:
        block, part = _split(layer)
        if block is None:
            return {}
        number = int(block.partition(".")[2])
        names = parts[block]
        gated = [name for name in names if name != "squeeze"]
        places = {"n": number, "n1": number + 1, "k": names.index(part), "k1": names.index(part) + 1}
        places["c"] = gated.index(part) + 1 if part in gated else 0
        ends = list(accumulate(self.stages, initial=0))
        stage = max(0, bisect_right(ends, number) - 1)
        return {**places, "s": stage + self.first_stage, "r": number - ends[stage]}


def _split(layer: str) -> tuple[str | None, str]:
    """`body.3` and `expand` of `body.3.expand.conv`."""
    match = re.match(r"((?:body|early)\.\d+)\.(\w+)", layer)
    return (match[1], match[2]) if match else (None, "")


def _parts(layers: Iterable[str]) -> dict[str, list[str]]:
    """The parts of each block, in order."""
    found: dict[str, list[str]] = {}
    for layer in layers:
        block, part = _split(layer)
        if block is not None and part not in found.setdefault(block, []):
            found[block].append(part)
    return found


_KERAS_V1: Rows = (
    ("stem.conv", "conv1"),
    ("stem.norm", "conv1_bn"),
    ("body.*.depthwise.conv", "conv_dw_{n1}"),
    ("body.*.depthwise.norm", "conv_dw_{n1}_bn"),
    ("body.*.pointwise.conv", "conv_pw_{n1}"),
    ("body.*.pointwise.norm", "conv_pw_{n1}_bn"),
    ("logits", "conv_preds|predictions"),
)
_KERAS_V2: Rows = (
    ("stem.conv", "conv1"),
    ("stem.norm", "bn_conv1|conv1_bn"),
    ("body.0.depthwise.conv", "expanded_conv_depthwise"),
    ("body.0.depthwise.norm", "expanded_conv_depthwise_bn"),
    ("body.0.project.conv", "expanded_conv_project"),
    ("body.0.project.norm", "expanded_conv_project_bn"),
    ("body.*.expand.conv", "block_{n}_expand"),
    ("body.*.expand.norm", "block_{n}_expand_bn"),
    ("body.*.depthwise.conv", "block_{n}_depthwise"),
    ("body.*.depthwise.norm", "block_{n}_depthwise_bn"),
    ("body.*.project.conv", "block_{n}_project"),
    ("body.*.project.norm", "block_{n}_project_bn"),
    ("head.conv", "conv_1"),
    ("head.norm", "conv_1_bn"),
    ("logits", "predictions|logits"),
)
_KERAS_V3: Rows = (
    ("stem.conv", "conv"),
    ("stem.norm", "conv_bn"),
    ("body.0.depthwise.conv", "expanded_conv_depthwise"),
    ("body.0.depthwise.norm", "expanded_conv_depthwise_bn"),
    ("body.0.squeeze.reduce", "expanded_conv_squeeze_excite_conv"),
    ("body.0.squeeze.expand", "expanded_conv_squeeze_excite_conv_1"),
    ("body.0.project.conv", "expanded_conv_project"),
    ("body.0.project.norm", "expanded_conv_project_bn"),
    ("body.*.expand.conv", "expanded_conv_{n}_expand"),
    ("body.*.expand.norm", "expanded_conv_{n}_expand_bn"),
    ("body.*.depthwise.conv", "expanded_conv_{n}_depthwise"),
    ("body.*.depthwise.norm", "expanded_conv_{n}_depthwise_bn"),
    ("body.*.squeeze.reduce", "expanded_conv_{n}_squeeze_excite_conv"),
    ("body.*.squeeze.expand", "expanded_conv_{n}_squeeze_excite_conv_1"),
    ("body.*.project.conv", "expanded_conv_{n}_project"),
    ("body.*.project.norm", "expanded_conv_{n}_project_bn"),
    ("last.conv", "conv_1"),
    ("last.norm", "conv_1_bn"),
    ("head", "conv_2"),
    ("logits", "logits"),
)
_TORCHVISION_V2: Rows = (
    ("stem.conv", "features.0.0"),
    ("stem.norm", "features.0.1"),
    ("body.*.expand.conv", "features.{n1}.conv.{k}.0"),
    ("body.*.expand.norm", "features.{n1}.conv.{k}.1"),
    ("body.*.depthwise.conv", "features.{n1}.conv.{k}.0"),
    ("body.*.depthwise.norm", "features.{n1}.conv.{k}.1"),
    ("body.*.project.conv", "features.{n1}.conv.{k}"),
    ("body.*.project.norm", "features.{n1}.conv.{k1}"),
    ("head.conv", "features.18.0"),
    ("head.norm", "features.18.1"),
    ("logits", "classifier.1"),
)


def _torchvision_v3(last: int) -> Rows:
    """`last` is the number of the layer behind the blocks."""
    return (
        ("stem.conv", "features.0.0"),
        ("stem.norm", "features.0.1"),
        ("body.*.squeeze.reduce", "features.{n1}.block.{k}.fc1"),
        ("body.*.squeeze.expand", "features.{n1}.block.{k}.fc2"),
        *(
            (f"body.*.{part}.{layer}", f"features.{{n1}}.block.{{k}}.{index}")
            for part in ("expand", "depthwise", "project")
            for index, layer in enumerate(("conv", "norm"))
        ),
        ("last.conv", f"features.{last}.0"),
        ("last.norm", f"features.{last}.1"),
        ("head", "classifier.0"),
        ("logits", "classifier.3"),
    )


_TIMM_STEM: Rows = (("stem.conv", "conv_stem"), ("stem.norm", "bn1"))
_TIMM_BLOCK: Rows = (
    ("body.*.expand.conv", "blocks.{s}.{r}.conv_pw|blocks.{s}.{r}.conv_exp"),
    ("body.*.expand.norm", "blocks.{s}.{r}.bn{c}"),
    ("body.*.depthwise.conv", "blocks.{s}.{r}.conv_dw"),
    ("body.*.depthwise.norm", "blocks.{s}.{r}.bn{c}"),
    ("body.*.squeeze.reduce", "blocks.{s}.{r}.se.conv_reduce"),
    ("body.*.squeeze.expand", "blocks.{s}.{r}.se.conv_expand"),
    ("body.*.pointwise.conv", "blocks.{s}.{r}.conv_pw"),
    ("body.*.pointwise.norm", "blocks.{s}.{r}.bn{c}"),
    ("body.*.project.conv", "blocks.{s}.{r}.conv_pwl|blocks.{s}.{r}.conv_pw"),
    ("body.*.project.norm", "blocks.{s}.{r}.bn{c}"),
)
_TIMM_V1: Rows = (*_TIMM_STEM, *_TIMM_BLOCK, ("logits", "classifier"))
_TIMM_V2: Rows = (*_TIMM_V1, ("head.conv", "conv_head"), ("head.norm", "bn2"))
_TIMM_EDGETPU: Rows = (*_TIMM_V2, ("neck.conv", "blocks.0.0.conv"), ("neck.norm", "blocks.0.0.bn1"))


def _timm_last(stage: int) -> Rows:
    return (("last.conv", f"blocks.{stage}.0.conv"), ("last.norm", f"blocks.{stage}.0.bn1"))


def _timm_v3(last: int) -> Rows:
    return (*_TIMM_V1, *_timm_last(last), ("head", "conv_head"))


_TIMM_V4: Rows = (
    *_TIMM_STEM,
    ("early.0.conv", "blocks.0.0.conv"),
    ("early.0.norm", "blocks.0.0.bn1"),
    ("early.1.conv", "blocks.0.1.conv"),
    ("early.1.norm", "blocks.0.1.bn1"),
    ("early.2.conv", "blocks.1.0.conv"),
    ("early.2.norm", "blocks.1.0.bn1"),
    ("early.3.conv", "blocks.1.1.conv"),
    ("early.3.norm", "blocks.1.1.bn1"),
    ("fused.expand.conv", "blocks.0.0.conv_exp"),
    ("fused.expand.norm", "blocks.0.0.bn1"),
    ("fused.project.conv", "blocks.0.0.conv_pwl"),
    ("fused.project.norm", "blocks.0.0.bn2"),
    ("body.*.start.conv", "blocks.{s}.{r}.dw_start.conv"),
    ("body.*.start.norm", "blocks.{s}.{r}.dw_start.bn"),
    ("body.*.expand.conv", "blocks.{s}.{r}.pw_exp.conv"),
    ("body.*.expand.norm", "blocks.{s}.{r}.pw_exp.bn"),
    ("body.*.depthwise.conv", "blocks.{s}.{r}.dw_mid.conv"),
    ("body.*.depthwise.norm", "blocks.{s}.{r}.dw_mid.bn"),
    ("body.*.project.conv", "blocks.{s}.{r}.pw_proj.conv"),
    ("body.*.project.norm", "blocks.{s}.{r}.pw_proj.bn"),
    ("body.*.norm", "blocks.{s}.{r}.norm"),
    ("body.*.query", "blocks.{s}.{r}.attn.query.proj"),
    ("body.*.key_reduce.conv", "blocks.{s}.{r}.attn.key.down_conv"),
    ("body.*.key_reduce.norm", "blocks.{s}.{r}.attn.key.norm"),
    ("body.*.value_reduce.conv", "blocks.{s}.{r}.attn.value.down_conv"),
    ("body.*.value_reduce.norm", "blocks.{s}.{r}.attn.value.norm"),
    ("body.*.key", "blocks.{s}.{r}.attn.key.proj"),
    ("body.*.value", "blocks.{s}.{r}.attn.value.proj"),
    ("body.*.project", "blocks.{s}.{r}.attn.output.proj"),
    ("body.*.channel_scale", "blocks.{s}.{r}.layer_scale"),
    *_timm_last(4),
    ("head.conv", "conv_head"),
    ("head.norm", "norm_head|bn2"),
    ("logits", "classifier"),
)


def _keras(network: str, rows: Rows, fixed: tuple[tuple[str, bool], ...] = ()) -> Dialect:
    return Dialect(network, "Keras", "Keras", rows, *TENSORFLOW, padding="same", epsilon=1e-3, fixed=fixed)


def _keras_v3(network: str) -> Dialect:
    return _keras(network, _KERAS_V3, (("wide_stem", False),))


def _torchvision(network: str, rows: Rows, epsilon: float) -> Dialect:
    return Dialect(network, "torchvision", "PyTorch", rows, *IMAGENET, padding="symmetric", epsilon=epsilon)


def _timm(
    network: str,
    rows: Rows,
    stages: tuple[int, ...],
    first_stage: int = 0,
    scale: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET,
    padding: str = "symmetric",
    epsilon: float = 1e-5,
) -> Dialect:
    return Dialect(
        network,
        "timm",
        "PyTorch",
        rows,
        *scale,
        padding=padding,
        epsilon=epsilon,
        stages=stages,
        first_stage=first_stage,
    )


def _timm_tensorflow(network: str, rows: Rows, stages: tuple[int, ...]) -> Dialect:
    """The `tf_` models, whose weights come from TensorFlow; of the minimalistic networks timm has no others."""
    return _timm(network, rows, stages, scale=TENSORFLOW, padding="same", epsilon=1e-3)


_V3_LARGE = (1, 2, 3, 4, 2, 3)
_V3_SMALL = (1, 2, 3, 2, 3)

DIALECTS: tuple[Dialect, ...] = (
    _keras("mobilenet_v1", _KERAS_V1),
    _timm("mobilenet_v1", _TIMM_V1, (1, 2, 2, 6, 2), scale=TENSORFLOW),
    _keras("mobilenet_v2", _KERAS_V2),
    _torchvision("mobilenet_v2", _TORCHVISION_V2, epsilon=1e-5),
    _timm("mobilenet_v2", _TIMM_V2, (1, 2, 3, 4, 3, 3, 1)),
    _keras_v3("mobilenet_v3_large"),
    _torchvision("mobilenet_v3_large", _torchvision_v3(16), epsilon=1e-3),
    _timm("mobilenet_v3_large", _timm_v3(6), _V3_LARGE),
    _keras_v3("mobilenet_v3_large_minimalistic"),
    _timm_tensorflow("mobilenet_v3_large_minimalistic", _timm_v3(6), _V3_LARGE),
    _keras_v3("mobilenet_v3_small"),
    _torchvision("mobilenet_v3_small", _torchvision_v3(12), epsilon=1e-3),
    _timm("mobilenet_v3_small", _timm_v3(5), _V3_SMALL),
    _keras_v3("mobilenet_v3_small_minimalistic"),
    _timm_tensorflow("mobilenet_v3_small_minimalistic", _timm_v3(5), _V3_SMALL),
    _timm("mobilenet_edgetpu", _TIMM_EDGETPU, (4, 4, 4, 4, 4, 1), first_stage=1),
    _timm("mobilenet_v4_conv_small", _TIMM_V4, (6, 6), first_stage=2),
    _timm("mobilenet_v4_conv_medium", _TIMM_V4, (2, 8, 11), first_stage=1),
    _timm("mobilenet_v4_conv_large", _TIMM_V4, (2, 11, 13), first_stage=1),
    _timm("mobilenet_v4_hybrid_medium", _TIMM_V4, (2, 12, 16), first_stage=1),
    _timm("mobilenet_v4_hybrid_large", _TIMM_V4, (2, 15, 18), first_stage=1),
)
"""All that is recognized. Epsilon, padding and pixel scales are those of the libraries' own constructors and
configurations: keras.applications 3, torchvision 0.28, timm 1.0."""


def own_dialect(network: str, padding: str, epsilon: float) -> Dialect:
    """The names that `.mnet` files give, filters laid out as ours: what `mnetdsl.training` saves."""
    return Dialect(network, "mnetdsl", "mnetdsl", (), (), (), padding, epsilon)
