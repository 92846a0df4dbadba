"""The zoo's networks have the parameters of independent implementations."""

from __future__ import annotations

from math import prod

import pytest

import mnetdsl
from mnetdsl.api import zoo

TRAINED = ("weight", "bias")

REFERENCES = {
    "mobilenet_v1": 4_231_976,  # keras.applications and timm
    "mobilenet_v2": 3_504_872,  # keras.applications, torchvision and timm
    "mobilenet_v3_large": 5_483_032,  # torchvision and timm
    "mobilenet_v3_small": 2_542_856,  # torchvision and timm
    "mobilenet_v3_large_minimalistic": 3_924_288,  # timm
    "mobilenet_v3_small_minimalistic": 2_044_736,  # timm
    "mobilenet_edgetpu": 4_091_432,  # timm
    "mobilenet_v4_conv_small": 3_774_024,  # timm
    "mobilenet_v4_conv_medium": 9_715_512,  # timm
    "mobilenet_v4_conv_large": 32_590_864,  # timm
    "mobilenet_v4_hybrid_medium": 11_074_648,  # timm
    "mobilenet_v4_hybrid_large": 37_764_624,  # timm
}
"""Trained parameters at 1000 classes: weights, biases, and both vectors of each batch normalization."""


def parameters(network: mnetdsl.Network) -> int:
    return sum(
        prod(op.type.shape)
        for op in network.module.graph.constants()
        if str(op.attributes["resource"]).rsplit(".", 1)[1] in TRAINED
    )


@pytest.mark.parametrize("name", REFERENCES)
def test_parameters_are_those_of_the_reference(name: str) -> None:
    assert parameters(mnetdsl.load(name)) == REFERENCES[name]


def test_width_scales_the_parameters_as_in_keras() -> None:
    assert parameters(mnetdsl.load("mobilenet_v1", alpha=0.25)) == 470_072  # 475,544 less 5,472 moving statistics


def test_every_network_of_the_zoo_is_compared() -> None:
    assert set(zoo()) == set(REFERENCES)


@pytest.mark.parametrize("name", REFERENCES)
def test_every_network_takes_other_widths_and_resolutions(name: str) -> None:
    network = mnetdsl.load(name, alpha=0.5, resolution=96, classes=7)
    assert network.module.graph.outputs[0].value.type.shape == (1, 7)
