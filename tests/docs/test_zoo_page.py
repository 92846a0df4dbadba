"""docs/zoo.md lists what every network of the zoo counts, and how the figures that others state come about."""

from __future__ import annotations

import re

import pytest

import mnetdsl
from tools.generated_page import replaced
from tools.zoo_figures import PAGE, PUBLISHED, REFERENCES, Figures, figures, tables

TEXT = PAGE.read_text(encoding="utf-8")
UNEXPLAINED = {"mobilenet_v3_large", "mobilenet_v3_small_minimalistic"}


@pytest.fixture(scope="module")
def counted() -> dict[str, Figures]:
    return {network: figures(network) for network in PUBLISHED}


def test_every_network_of_the_zoo_is_listed() -> None:
    assert set(PUBLISHED) == set(REFERENCES) == set(mnetdsl.zoo())


def test_the_tables_are_those_of_the_networks_as_they_are() -> None:
    assert replaced(TEXT, tables()) == TEXT, "run python -m tools.zoo_figures --write"


@pytest.mark.parametrize("network", PUBLISHED)
def test_ours_is_the_librarys_count(network: str, counted: dict[str, Figures]) -> None:
    ours, reference = counted[network], REFERENCES[network]
    assert ours.parameters == reference.parameters
    assert ours.macs - ours.attention_macs == reference.macs


@pytest.mark.parametrize("network", PUBLISHED)
def test_a_stated_figure_comes_out_of_the_count_given_for_it(network: str, counted: dict[str, Figures]) -> None:
    published = PUBLISHED[network]
    assert (published.macs.count is None) == (network in UNEXPLAINED)
    for stated in (published.parameters, published.macs):
        if stated.count is not None:
            assert stated.count.stated(counted[network], stated.decimals) == stated.number


def test_figures_in_the_text_are_those_of_the_networks(counted: dict[str, Figures]) -> None:
    prose = re.sub(r"<!-- generated.*?<!-- end -->", "", TEXT, flags=re.DOTALL)
    large, small = counted["mobilenet_v3_large"], counted["mobilenet_v3_small"]
    narrow = mnetdsl.load("mobilenet_v3_large", alpha=0.75)
    squeeze = sum(
        layer.macs for layer in mnetdsl.load("mobilenet_v3_large").summary().layers if "squeeze" in layer.name
    )
    said = {
        counted["mobilenet_v2"].without_norms,
        counted["mobilenet_v4_hybrid_medium"].attention_macs,
        counted["mobilenet_v4_hybrid_large"].attention_macs,
        narrow.summary().macs,
        squeeze,
        small.macs + 1024,
        1024,
    }
    products = {"large": elements("mobilenet_v3_large", 1.0), "small": elements("mobilenet_v3_small", 1.0)}
    said |= set(products["large"])
    assert set(map(int, (n.replace(",", "") for n in re.findall(r"\d+(?:,\d{3})+", prose)))) == said
    with_products = (
        large.macs + sum(products["large"]),
        narrow.summary().macs + sum(elements("mobilenet_v3_large", 0.75)),
        small.macs + sum(products["small"]),
    )
    for macs in with_products:
        assert f"{macs / 1e6:.1f} M" in prose


def elements(network: str, alpha: float) -> tuple[int, int]:
    """Results of hard-swish and of the gates' products."""
    operations = mnetdsl.load(network, alpha=alpha).module.graph.operations
    swish, gates = (sum(op.type.elements for op in operations if op.opcode == code) for code in ("hard_swish", "mul"))
    return swish, gates
