"""Each network of the zoo is a feature extractor in somebody else's file, with the layer names of the whole network."""

from __future__ import annotations

import pytest

from mnetdsl.api import zoo
from mnetdsl.ir.core import Module
from mnetdsl.sema import build
from mnetdsl.source import SourceFile

NETWORK = """mnet 1

use zoo.{name} {{ {name}, {name}_features, {name}_maps }}

model pooled() {{
  input image: u8[96, 96, 3] {{ color = rgb, mean = 127.5, std = 127.5 }}
  x = {name}_features(image, alpha = 0.5){label}
  output classes = dense(global_avg_pool(x), 4)
}}

model pyramid() {{
  input image: u8[96, 96, 3] {{ color = rgb, mean = 127.5, std = 127.5 }}
  maps = {name}_maps(image)
  for i in range(maps.length) {{
    assert maps[i].shape == [48 // 2 ** i, 48 // 2 ** i, maps[i].channels], "a map at each stride"
  }}
  output half = maps[0]
  output quarter = maps[1]
  output fine = maps[2]
  output middle = maps[3]
  output coarse = maps[4]
}}

deploy whole of {name}(alpha = 0.5, resolution = 96) {{}}
"""

CHANNELS = {
    "mobilenet_v1": (64, 128, 256, 512, 1024),
    "mobilenet_v2": (16, 24, 32, 96, 320),
    "mobilenet_v3_large": (16, 24, 40, 112, 160),
    "mobilenet_v3_large_minimalistic": (16, 24, 40, 112, 160),
    "mobilenet_v3_small": (16, 16, 24, 48, 96),
    "mobilenet_v3_small_minimalistic": (16, 16, 24, 48, 96),
    "mobilenet_edgetpu": (16, 32, 48, 96, 192),
    "mobilenet_v4_conv_small": (32, 32, 64, 96, 128),
    "mobilenet_v4_conv_medium": (32, 48, 80, 160, 256),
    "mobilenet_v4_conv_large": (24, 48, 96, 192, 512),
    "mobilenet_v4_hybrid_medium": (32, 48, 80, 160, 256),
    "mobilenet_v4_hybrid_large": (24, 48, 96, 192, 512),
}
"""Of the last row of each resolution in the tables: V1 table 1, V2 table 2, V3 tables 1 and 2, V4 tables 11 to 15;
EdgeTPU as in the zoo's own."""


def module(name: str, model: str, label: str = "") -> Module:
    return build(SourceFile("net.mnet", NETWORK.format(name=name, label=label)), model).module


@pytest.mark.parametrize("name", zoo())
def test_features_have_the_names_and_shapes_of_the_whole_network(name: str) -> None:
    whole = module(name, "whole").required()
    features = {key: type for key, type in module(name, "pooled").required().items() if not key.startswith("classes.")}
    assert features
    assert features.items() <= whole.items()
    assert {key.partition(".")[0] for key in whole.keys() - features.keys()} <= {"head", "logits"}


@pytest.mark.parametrize("name", zoo())
def test_a_label_stands_in_front_of_all_layers_of_the_features(name: str) -> None:
    plain, labelled = module(name, "pooled"), module(name, "pooled", " as backbone")
    expected = {key if key.startswith("classes.") else f"backbone.{key}" for key in plain.required()}
    assert labelled.required().keys() == expected


@pytest.mark.parametrize("name", CHANNELS)
def test_maps_are_the_last_of_each_size(name: str) -> None:
    outputs = module(name, "pyramid").graph.outputs
    assert tuple(port.value.type.shape[-1] for port in outputs) == CHANNELS[name]


def test_the_maps_of_every_network_are_compared() -> None:
    assert set(zoo()) == set(CHANNELS)
