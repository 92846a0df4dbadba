"""The float pipeline keeps what a network computes, with and without weights, and leaves what backends take."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnetdsl.api import load
from mnetdsl.interpreter import run
from mnetdsl.ir.clone import clone
from mnetdsl.ir.core import Module
from mnetdsl.ir.equality import difference
from mnetdsl.ir.printer import print_module
from mnetdsl.ir.text.reader import read_module
from mnetdsl.ir.verifier import Stage, verify
from mnetdsl.passes.context import Context
from mnetdsl.passes.derive import materialize
from mnetdsl.passes.pass_manager import run_passes
from mnetdsl.passes.pipelines import optimize
from mnetdsl.passes.registry import PASSES
from mnetdsl.source import SourceFile
from tests.ir.mlir import mlir_round_trip
from tests.passes.helpers import assert_same_results, opcodes, random_inputs
from tests.passes.random_networks import networks

quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@quick
@given(networks())
def test_the_pipeline_keeps_what_is_computed(module: Module) -> None:
    before = print_module(module)
    result = optimize(module)
    verify(result, Stage.FOLDED)
    assert print_module(module) == before
    assert {str(op.attributes["resource"]) for op in result.graph.constants()} <= result.resources.keys()
    assert_same_results(module, result, tolerance=2e-4)


@quick
@given(networks(), st.lists(st.sampled_from(sorted(PASSES)), min_size=1, max_size=6))
def test_passes_in_any_order_keep_what_is_computed(module: Module, names: list[str]) -> None:
    result = clone(module)
    run_passes(result, [PASSES[name]() for name in names])
    assert_same_results(module, result, tolerance=2e-4)


@settings(quick, max_examples=25)
@given(networks())
def test_folding_first_and_loading_weights_later_gives_the_same_bits(module: Module) -> None:
    loaded = optimize(module)
    unloaded = clone(module)
    unloaded.resources.clear()
    text = print_module(optimize(unloaded))
    assert text == print_module(loaded)
    copy = read_module(SourceFile("net.mlir", text))
    copy.resources.update({name: module.resources[name] for name in copy.required()})
    materialize(copy)
    inputs = random_inputs(module)
    for name, expected in run(loaded, inputs).items():
        assert expected.tobytes() == run(copy, inputs)[name].tobytes()


@settings(quick, max_examples=25)
@given(networks())
def test_running_it_again_changes_nothing(module: Module) -> None:
    once = optimize(module)
    assert difference(once, optimize(once)) is None


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_networks_of_the_zoo_fold_completely_without_weights(name: str) -> None:
    context = Context()
    module = optimize(load(name).module, context)
    assert [str(remark) for remark in context.remarks if not remark.applied] == []
    assert set(opcodes(module)) <= {"normalize", "conv2d", "depthwise_conv2d", "global_avg_pool", "dense"}
    assert not module.resources
    mlir_round_trip(print_module(module))


def test_every_residual_of_mobilenet_v2_is_fused() -> None:
    convolutions = [op for op in optimize(load("mobilenet_v2").module).graph.operations if op.opcode == "conv2d"]
    assert sum(len(op.operand_group("residual")) for op in convolutions) == 10
