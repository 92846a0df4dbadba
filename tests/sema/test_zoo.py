"""The zoo's networks equal their papers."""

from __future__ import annotations

from math import prod

import pytest

import mnetdsl

TRAINED = ("weight", "bias")


def parameters(network: mnetdsl.Network) -> int:
    return sum(
        prod(op.type.shape)
        for op in network.module.graph.constants()
        if str(op.attributes["resource"]).rsplit(".", 1)[1] in TRAINED
    )


@pytest.mark.parametrize(
    ("name", "alpha", "expected"),
    [
        ("mobilenet_v1", 1.0, 4_231_976),  # keras.applications and timm
        ("mobilenet_v1", 0.25, 470_072),  # keras.applications: 475,544 less 5,472 moving statistics
        ("mobilenet_v2", 1.0, 3_504_872),
    ],
)
def test_parameters_are_those_of_the_reference(name: str, alpha: float, expected: int) -> None:
    assert parameters(mnetdsl.load(name, alpha=alpha)) == expected
