"""Parameters and multiply-accumulates, against the papers and against counts made by hand."""

from __future__ import annotations

import pytest

import mnetdsl
from mnetdsl.cost import Summary, multiply_accumulates, summarize
from mnetdsl.cost.macs import RULES
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.sema import build
from mnetdsl.source import SourceFile


def of(body: str, size: str = "6, 8, 3") -> Summary:
    text = f"mnet 1\nmodel net() {{\n  input image: f32[{size}]\n{body}\n}}\n"
    return summarize(build(SourceFile("net.mnet", text)).module)


def test_every_operation_has_a_rule_and_no_other() -> None:
    assert RULES.keys() == OPERATIONS.keys()


@pytest.mark.parametrize(
    ("network", "parameters", "macs"),
    [
        ("mobilenet_v1", 4_231_976, 568_740_352),  # Howard et al. 2017, table 4: 4.2 M, 569 M
        ("mobilenet_v2", 3_504_872, 300_774_272),  # Sandler et al. 2018, table 4: 3.4 M, 300 M
    ],
)
def test_networks_have_the_figures_of_their_references(network: str, parameters: int, macs: int) -> None:
    summary = mnetdsl.load(network).summary()
    assert summary.parameters == parameters
    assert summary.macs == macs


def test_parameters_are_all_but_the_statistics() -> None:
    module = mnetdsl.load("mobilenet_v2", alpha=0.35, resolution=96).with_weights("random:1").module
    summary = summarize(module)
    statistics = {name for name in module.resources if name.endswith(("running_mean", "running_var"))}
    assert summary.statistics == sum(module.resources[name].size for name in statistics)
    assert summary.parameters == sum(a.size for name, a in module.resources.items() if name not in statistics)
    assert summary.weight_bytes == sum(array.nbytes for array in module.resources.values())


@pytest.mark.parametrize(
    ("body", "macs"),
    [
        ("  output y = conv2d(image, 5, kernel = 3, stride = 2)", 3 * 4 * 5 * 3 * 3 * 3),
        ("  output y = conv2d(image, 5, kernel = 3, dilation = 2)", 6 * 8 * 5 * 3 * 3 * 3),
        ("  output y = conv2d(image, 7, kernel = 1, bias = false)", 6 * 8 * 7 * 3),
        ("  output y = depthwise_conv2d(image, kernel = 3)", 6 * 8 * 3 * 9),
        ("  output y = depthwise_conv2d(image, kernel = 5, multiplier = 2, stride = 2)", 3 * 4 * 6 * 25),
        ("  output y = dense(global_avg_pool(image), 11)", 3 * 11),
        ("  output y = relu6(image + image)", 0),
    ],
)
def test_multiply_accumulates_are_those_of_explicit_loops(body: str, macs: int) -> None:
    assert of(body).macs == macs


def test_a_layer_row_says_what_it_reads_and_where_it_was_written() -> None:
    summary = of("  x = conv2d(image, 4, kernel = 1) as stem\n  output y = relu(x) as act")
    stem, act = summary.layers
    assert (stem.name, stem.op, stem.shape, stem.parameters) == ("stem", "conv2d", (6, 8, 4), 3 * 4 + 4)
    assert stem.inputs == ("image",)
    assert stem.place == "net.mnet:4"
    assert stem.activation_bytes == 6 * 8 * 4 * 4
    assert (act.inputs, act.parameters) == (("stem",), 0)


def test_bytes_follow_the_element_type() -> None:
    text = "mnet 1\nmodel net() {\n  input image: u8[4, 4, 1]\n  output y = relu(image)\n}\n"
    summary = summarize(build(SourceFile("net.mnet", text)).module)
    assert summary.inputs[0].element == "u8"
    assert summary.layers[0].op == "normalize"
    assert summary.activation_bytes == 2 * 4 * 4 * 4


def test_the_json_has_total_and_layers() -> None:
    summary = mnetdsl.load("mobilenet_v1", alpha=0.25, resolution=96).summary()
    found = summary.as_json()
    assert found["total"] == {
        "parameters": summary.parameters,
        "macs": summary.macs,
        "statistics": summary.statistics,
        "weight_bytes": summary.weight_bytes,
        "activation_bytes": summary.activation_bytes,
        "layers": len(summary.layers),
    }
    layers = found["layers"]
    assert isinstance(layers, list)
    for key in ("parameters", "macs", "activation_bytes"):
        assert sum(layer[key] for layer in layers) == getattr(summary, key)
    assert len({layer["name"] for layer in layers}) == len(layers)


def test_folding_moves_no_multiply_accumulate() -> None:
    network = mnetdsl.load("mobilenet_v2", alpha=0.35, resolution=96).with_weights("random:1")
    folded = network.optimized()
    assert sum(multiply_accumulates(op) for op in folded.graph.operations) == network.summary().macs


def test_numbers_of_the_text_are_no_parameters() -> None:
    summary = of("output y = conv2d(image * 0.5 + [1, 2, 3], 4, bias = false)")
    assert summary.parameters == 12
    assert summary.weight_bytes == 48
