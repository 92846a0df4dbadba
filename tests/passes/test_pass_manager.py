"""Passes run in order, verified between; a failing one leaves what reproduces it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from mnetdsl.ir.core import Module
from mnetdsl.ir.printer import print_module
from mnetdsl.ir.types import TensorType
from mnetdsl.ir.verifier import Stage, VerificationError
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context
from mnetdsl.passes.dead_code import DeadCode
from mnetdsl.passes.fuse_activation import FuseActivation
from mnetdsl.passes.pass_manager import PassError, run_passes
from tests.passes.helpers import LayerMaker


@dataclass(frozen=True)
class Breaks(Pass):
    """Forgets a user, or raises."""

    name: ClassVar[str] = "breaks"
    raises: bool = False

    def run(self, module: Module, context: Context) -> None:
        if self.raises:
            raise KeyError("lost")
        module.graph.operations[1].operands[0].users.clear()


def layer() -> Module:
    maker = LayerMaker()
    return maker.output(maker.op("relu", maker.conv("conv", maker.input(2, 2, 3), 4)))


def test_each_pass_is_timed_and_shown() -> None:
    context, seen = Context(), []
    run_passes(
        layer(),
        [FuseActivation(), DeadCode()],
        context,
        after=lambda item, module: seen.append((item.name, len(module.graph.operations))),
    )
    assert seen == [("fuse-activation", 2), ("dead-code", 2)]
    assert [timing.pass_name for timing in context.timings] == ["fuse-activation", "dead-code"]
    assert all(timing.seconds >= 0 for timing in context.timings)


@pytest.mark.parametrize("raises", [True, False])
def test_a_pass_that_fails_leaves_text_and_command_that_reproduce_it(raises: bool) -> None:
    module = layer()
    before = print_module(module)
    with pytest.raises(
        PassError, match="pass `breaks` failed: " + ("KeyError" if raises else "VerificationError")
    ) as caught:
        run_passes(module, [Breaks(raises)])
    assert caught.value.before == before
    assert caught.value.command == 'mnet opt before.mlir -p "' + ("breaks{raises=true}" if raises else "breaks") + '"'


def test_a_module_that_is_wrong_to_begin_with_is_no_fault_of_a_pass() -> None:
    module = layer()
    module.graph.operations[1].result.type = TensorType((1, 1))
    with pytest.raises(VerificationError):
        run_passes(module, [DeadCode()])


def test_the_stage_is_verified_at_the_end() -> None:
    maker = LayerMaker()
    module = maker.output(maker.norm("norm", maker.input(3)))
    with pytest.raises(VerificationError, match="`batch_norm` norm is left"):
        run_passes(module, [DeadCode()], stage=Stage.FOLDED)
