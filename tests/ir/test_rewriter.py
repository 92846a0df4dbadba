"""After every call of the rewriter users, outputs and order are right."""

from __future__ import annotations

import pytest

from mnetdsl.ir.clone import clone
from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.equality import difference
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops.elementwise import Add, Mul
from mnetdsl.ir.ops.shape import Pad, Reshape
from mnetdsl.ir.ops.unary import Clamp, Relu, Relu6, Tanh
from mnetdsl.ir.rewriter import Rewriter
from mnetdsl.ir.verifier import verify
from tests.graphs import GraphMaker

PLACE = Location("act", "net.mnet", 3, 1)


class Diamond:
    """image -> relu -> (tanh, add reads relu twice) -> outputs `result` and `early`."""

    def __init__(self) -> None:
        self.maker = GraphMaker()
        self.module = self.maker.module
        self.image = self.maker.input(4)
        add = self.maker.builder.add
        self.relu: Op = add(Relu, PLACE, {"input": self.image})
        self.tanh: Op = add(Tanh, operands={"input": self.relu.result})
        self.sum: Op = add(Add, operands={"left": self.relu.result, "right": self.relu.result})
        self.maker.output(self.sum.result)
        self.maker.output(self.relu.result, "early")
        self.rewriter = Rewriter(self.module.graph)

    def opcodes(self) -> list[str]:
        verify(self.module)
        return [op.opcode for op in self.module.graph.operations]


def test_replace_moves_every_use_and_output_and_keeps_the_location() -> None:
    graph = Diamond()
    new = graph.rewriter.replace(graph.relu, Clamp, {"input": graph.image}, {"low": 0.0, "high": 1.0})
    assert graph.opcodes() == ["clamp", "tanh", "add"]
    assert new.location == PLACE
    assert graph.sum.operands == (new.result, new.result)
    assert graph.module.graph.outputs[1].value is new.result
    assert new.result.users.count(graph.sum) == 2
    assert graph.image.users == [new]


def test_replace_by_a_value() -> None:
    graph = Diamond()
    graph.rewriter.replace_with_value(graph.relu, graph.image)
    assert graph.opcodes() == ["tanh", "add"]
    assert graph.sum.operands == (graph.image, graph.image)


def test_replace_by_a_value_of_another_type_is_refused() -> None:
    graph = Diamond()
    wide = graph.maker.builder.add(Reshape, operands={"input": graph.image}, shape=(2, 2))
    with pytest.raises(ValueError, match="cannot become"):
        graph.rewriter.replace_with_value(graph.relu, wide.result)
    assert graph.opcodes() == ["relu", "tanh", "add", "reshape"]


def test_insert_before() -> None:
    graph = Diamond()
    graph.rewriter.insert_before(graph.sum, Mul, {"left": graph.image, "right": graph.image})
    assert graph.opcodes() == ["relu", "tanh", "mul", "add"]


def test_an_insertion_that_does_not_fit_leaves_the_graph_as_it_was() -> None:
    graph = Diamond()
    with pytest.raises(ShapeError):
        graph.rewriter.insert_before(graph.sum, Pad, {"input": graph.image}, {"padding": (1, 1, 1, 1)})
    assert graph.opcodes() == ["relu", "tanh", "add"]


def test_update_changes_operands_and_attributes() -> None:
    graph = Diamond()
    new = graph.rewriter.update(graph.sum, {"right": graph.tanh.result}, {"activation": "relu6"})
    assert graph.opcodes() == ["relu", "tanh", "add"]
    assert isinstance(new, Add)
    assert (new.left, new.right, new.activation) == (graph.relu.result, graph.tanh.result, "relu6")


def test_what_is_read_cannot_be_erased() -> None:
    graph = Diamond()
    for op in (graph.relu, graph.sum):
        with pytest.raises(ValueError, match="is still read"):
            graph.rewriter.erase(op)


def test_erase_and_erase_unread() -> None:
    graph = Diamond()
    graph.rewriter.erase_unread(graph.tanh, graph.tanh, graph.relu)
    assert graph.opcodes() == ["relu", "add"]
    with pytest.raises(ValueError, match="has been erased"):
        graph.rewriter.insert_before(graph.tanh, Relu6, {"input": graph.image})


def test_single_use_counts_outputs() -> None:
    graph = Diamond()
    use = graph.rewriter.single_use
    assert not use(graph.relu.result)
    assert not use(graph.sum.result)
    graph.module.graph.outputs.pop()
    graph.rewriter.replace_with_value(graph.sum, graph.tanh.result)
    assert use(graph.relu.result)


def test_the_walk_skips_what_was_erased_meanwhile() -> None:
    graph = Diamond()
    seen = []
    for op in graph.rewriter.operations():
        seen.append(op.opcode)
        graph.rewriter.erase_unread(graph.tanh)
    assert seen == ["relu", "add"]


def test_a_clone_is_equal_and_independent() -> None:
    graph = Diamond()
    copy = clone(graph.module)
    verify(copy)
    assert difference(graph.module, copy) is None
    rewriter = Rewriter(copy.graph)
    rewriter.erase(copy.graph.operations[1])
    copy.graph.inputs[0].attributes["color"] = "rgb"
    assert graph.opcodes() == ["relu", "tanh", "add"]
    assert graph.module.graph.inputs[0].attributes == {}
