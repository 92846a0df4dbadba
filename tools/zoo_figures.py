"""Parameters and multiply-accumulates of every network of the zoo, beside those of other implementations and papers.

    python -m tools.zoo_figures            # print the tables of docs/zoo.md
    python -m tools.zoo_figures --write    # and put them there

Ours are counted anew; what others count and state stands in the tables below. tests/docs/test_zoo_page.py holds the
page to this file, tests/references/test_figures.py the counts of the libraries to the libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import mnetdsl
from tools.generated_page import main

PAGE = Path(__file__).resolve().parents[1] / "docs" / "zoo.md"


@dataclass(frozen=True)
class Figures:
    """What a network of the zoo counts at its default width and resolution."""

    resolution: int
    parameters: int
    """Trained ones: batch normalization's scale and offset included, its statistics not."""
    normalized: int
    """Channels that are batch-normalized; each has a scale and an offset."""
    macs: int
    attention_macs: int
    """Those of `macs` that multiply two tensors, not a tensor and weights."""

    @property
    def folded(self) -> int:
        """Parameters once batch normalization is folded: an offset is left of each normalized channel."""
        return self.parameters - self.normalized

    @property
    def without_norms(self) -> int:
        return self.parameters - 2 * self.normalized


@dataclass(frozen=True)
class Reference:
    """What a library counts; `arguments` are those of its constructor."""

    constructor: str
    parameters: int
    macs: int
    arguments: dict[str, object] = field(default_factory=dict)

    @property
    def library(self) -> str:
        return self.constructor.partition(".")[0]


@dataclass(frozen=True)
class Count:
    """A way of counting that gives a stated figure: a number of `Figures`, the unit, and how digits are dropped."""

    of: Callable[[Figures], int]
    named: str
    unit: int = 10**6
    cut: bool = False

    def stated(self, figures: Figures, decimals: int) -> str:
        value = self.of(figures) / self.unit
        if self.cut:
            value = int(value * 10**decimals) / 10**decimals
        return f"{value:.{decimals}f}"

    def __str__(self) -> str:
        unit = {2**20: ", in units of 2^20", 2**30: ", in units of 2^30"}.get(self.unit, "")
        return f"{self.named}{unit}, {'cut off' if self.cut else 'rounded'}"


@dataclass(frozen=True)
class Stated:
    """A figure as its authors print it, and the count that gives it: None where none that we know does."""

    text: str
    count: Count | None

    @property
    def number(self) -> str:
        return self.text.split()[0]

    @property
    def decimals(self) -> int:
        return len(self.number.partition(".")[2])


@dataclass(frozen=True)
class Published:
    """`source` states `parameters` and `macs`."""

    source: str
    parameters: Stated
    macs: Stated


_M, _G = 2**20, 2**30
V1 = "Howard et al. 2017, table 4"
V2 = "Sandler et al. 2018, table 4"
V3 = "Howard et al. 2019, table 3"
SLIM = "TensorFlow models, slim/nets/mobilenet"
V4 = "Qin et al. 2024, table 5"


def _parameters(figures: Figures) -> int:
    return figures.parameters


def _folded(figures: Figures) -> int:
    return figures.folded


def _without_norms(figures: Figures) -> int:
    return figures.without_norms


def _macs(figures: Figures) -> int:
    return figures.macs


PLAIN, PLAIN_CUT = Count(_parameters, "as ours"), Count(_parameters, "as ours", cut=True)
FOLDED_BINARY = Count(_folded, "batch normalization folded", _M)
BARE_CUT = Count(_without_norms, "batch normalization left out", cut=True)
MACS, MACS_CUT = Count(_macs, "as ours"), Count(_macs, "as ours", cut=True)
GIGA, GIGA_BINARY = Count(_macs, "as ours", 10**9), Count(_macs, "as ours", _G)

PUBLISHED = {
    "mobilenet_v1": Published(V1, Stated("4.2 M", PLAIN), Stated("569 M", MACS)),
    "mobilenet_v2": Published(V2, Stated("3.4 M", BARE_CUT), Stated("300 M", MACS_CUT)),
    "mobilenet_v3_large": Published(V3, Stated("5.4 M", PLAIN_CUT), Stated("219 M", None)),
    "mobilenet_v3_large_minimalistic": Published(SLIM, Stated("3.9 M", PLAIN), Stated("209 M", MACS)),
    "mobilenet_v3_small": Published(V3, Stated("2.5 M", PLAIN), Stated("56 M", MACS_CUT)),
    "mobilenet_v3_small_minimalistic": Published(SLIM, Stated("2.0 M", PLAIN), Stated("65 M", None)),
    "mobilenet_edgetpu": Published(SLIM, Stated("4.0 M", BARE_CUT), Stated("990 M", MACS_CUT)),
    "mobilenet_v4_conv_small": Published(V4, Stated("3.8 M", PLAIN), Stated("0.2 G", GIGA)),
    "mobilenet_v4_conv_medium": Published(V4, Stated("9.2 M", FOLDED_BINARY), Stated("1.0 G", GIGA_BINARY)),
    "mobilenet_v4_conv_large": Published(V4, Stated("31.0 M", FOLDED_BINARY), Stated("5.9 G", GIGA_BINARY)),
    "mobilenet_v4_hybrid_medium": Published(V4, Stated("10.5 M", FOLDED_BINARY), Stated("1.2 G", GIGA_BINARY)),
    "mobilenet_v4_hybrid_large": Published(V4, Stated("35.9 M", FOLDED_BINARY), Stated("7.2 G", GIGA_BINARY)),
}
"""In the order of the page."""

_MINIMAL: dict[str, object] = {"minimalistic": True}
REFERENCES = {
    "mobilenet_v1": Reference("keras.MobileNet", 4_231_976, 568_740_352),
    "mobilenet_v2": Reference("keras.MobileNetV2", 3_504_872, 300_774_272),
    "mobilenet_v3_large": Reference("keras.MobileNetV3Large", 5_483_032, 216_589_760),
    "mobilenet_v3_large_minimalistic": Reference("keras.MobileNetV3Large", 3_924_288, 209_136_704, _MINIMAL),
    "mobilenet_v3_small": Reference("keras.MobileNetV3Small", 2_542_856, 56_510_400),
    "mobilenet_v3_small_minimalistic": Reference("keras.MobileNetV3Small", 2_044_736, 52_288_448, _MINIMAL),
    "mobilenet_edgetpu": Reference("timm.mobilenet_edgetpu_100", 4_091_432, 990_669_184),
    "mobilenet_v4_conv_small": Reference("timm.mobilenetv4_conv_small", 3_774_024, 186_005_568),
    "mobilenet_v4_conv_medium": Reference("timm.mobilenetv4_conv_medium", 9_715_512, 1_080_244_224),
    "mobilenet_v4_conv_large": Reference("timm.mobilenetv4_conv_large", 32_590_864, 6_376_220_672),
    "mobilenet_v4_hybrid_medium": Reference("timm.mobilenetv4_hybrid_medium", 11_074_648, 1_229_240_320),
    "mobilenet_v4_hybrid_large": Reference("timm.mobilenetv4_hybrid_large", 37_764_624, 7_372_138_496),
}
"""Trained parameters as the library counts them; multiply-accumulates of its convolutions and dense layers."""


def figures(network: str) -> Figures:
    loaded = mnetdsl.load(network)
    summary = loaded.summary()
    (port,) = summary.inputs
    return Figures(
        resolution=port.shape[0],
        parameters=summary.parameters,
        normalized=summary.statistics // 2,
        macs=summary.macs,
        attention_macs=sum(layer.macs for layer in summary.layers if layer.op == "matmul"),
    )


def counts(of: dict[str, Figures]) -> list[str]:
    """The table of ours beside the libraries' and the papers'."""
    rows = [
        "| Network | Side | Parameters | library | paper | MACs | library | paper |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for network, published in PUBLISHED.items():
        ours, reference = of[network], REFERENCES[network]
        cells = [
            f"`{network}`",
            f"{ours.resolution}",
            f"{ours.parameters:,}",
            f"{reference.parameters:,}",
            published.parameters.text,
            f"{ours.macs:,}",
            f"{reference.macs:,}",
            published.macs.text,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def explanations(of: dict[str, Figures]) -> list[str]:
    """The table of how stated figures come about."""
    rows = ["| Network | States | Parameters | MACs |", "|---|---|---|---|"]
    for network, published in PUBLISHED.items():
        cells = [f"`{network}`", published.source]
        for stated in (published.parameters, published.macs):
            cells.append(f"{stated.text}: {_explained(stated, of[network])}")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _explained(stated: Stated, figures: Figures) -> str:
    if stated.count is None:
        return "see below"
    return f"{stated.count.of(figures):,}, {stated.count}"


def tables() -> dict[str, str]:
    """Text of each generated part of the page, by its name."""
    of = {network: figures(network) for network in PUBLISHED}
    return {"counts": "\n".join(counts(of)), "explanations": "\n".join(explanations(of))}


if __name__ == "__main__":
    main(__doc__, PAGE, tables())
