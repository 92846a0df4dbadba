"""What nobody reads goes; what somebody reads and the inputs stay."""

from __future__ import annotations

import numpy as np

from mnetdsl.passes.dead_code import DeadCode
from mnetdsl.passes.fold_batch_norm import FoldBatchNorm
from tests.passes.helpers import LayerMaker, opcodes, passed

DCE = DeadCode()


def test_a_dead_branch_goes_with_its_weights() -> None:
    maker = LayerMaker()
    image = maker.input(3, 3, 2)
    maker.input(5, name="unread")
    maker.op("relu", maker.conv("dead", image, 4), name="act")
    maker.module.resources["stray"] = np.zeros(3, np.float32)
    module, remarks = passed(maker.output(maker.conv("live", image, 4)), DCE)
    assert opcodes(module) == ["conv2d"]
    assert list(module.resources) == ["live.weight"]
    assert [port.name for port in module.graph.inputs] == ["image", "unread"]
    assert remarks == [
        "dead-code: removed `act` (net.mnet:2)",
        "dead-code: removed `dead` (net.mnet:1)",
    ]


def test_outputs_stay_even_where_nothing_else_reads_them() -> None:
    maker = LayerMaker()
    x = maker.op("relu", maker.input(3))
    maker.output(x, "early")
    module, remarks = passed(maker.output(maker.op("tanh", x)), DCE)
    assert opcodes(module) == ["relu", "tanh"]
    assert remarks == []


def test_sources_of_derived_arrays_stay_and_derived_arrays_nobody_reads_go() -> None:
    maker = LayerMaker()
    image = maker.input(3, 3, 2)
    maker.norm("dead.norm", maker.conv("dead", image, 4))
    normed = maker.norm("live.norm", maker.conv("live", image, 4))
    folded, _ = passed(maker.output(normed), FoldBatchNorm())
    module, _ = passed(folded, DCE)
    assert list(module.derived) == ["live.weight.folded", "live.bias.folded"]
    assert sorted(name for name in module.resources if not name.startswith("live")) == []
    assert "live.norm.running_var" in module.resources
