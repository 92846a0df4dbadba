"""The plan of whole graphs: its bound, its modes, its memory outside the arena."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from mnetdsl.backends.c import plan_memory
from mnetdsl.ir.core import Module, OperandArgument, Value
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.plan import Clearance, Mode, Plan, Scratch, Space, Task, make_plan
from mnetdsl.plan.storage import storage_root
from tests.graphs import GraphMaker


def op(maker: GraphMaker, opcode: str, operands: Mapping[str, OperandArgument], **attributes: AttributeValue) -> Value:
    return maker.builder.add(OPERATIONS[opcode], operands=operands, **attributes).result


def chain(*sizes: int) -> tuple[GraphMaker, list[Value]]:
    """Input and output outside the arena; between them a buffer of each size in floats, each made from the last."""
    maker = GraphMaker()
    x = maker.input(1)
    values: list[Value] = []
    for size in (*sizes, 1):
        weight = maker.random_constant(f"w{len(values)}", x.type.shape[1], size)
        x = op(maker, "dense", {"input": x, "filter": weight})
        values.append(x)
    maker.output(x)
    return maker, values[:-1]


def with_modes(maker: GraphMaker, modes: dict[Value, tuple[Mode, ...]], **options: Any) -> Plan:
    tasks = [
        Task(o.opcode, o.operands[:1], o.result, modes.get(o.result, (Mode("forward", (None,)),)))
        for o in maker.module.graph.operations
        if o.opcode != "constant"
    ]
    return make_plan(maker.module.graph, tasks, **options)


def test_without_overlap_a_chain_needs_its_largest_neighbours() -> None:
    maker, _ = chain(10, 30, 20, 5)
    plan = with_modes(maker, {})
    assert plan.arena_bytes == plan.lower_bound == 50 * 4
    assert {buffer.size for buffer in plan.peak_buffers} == {30 * 4, 20 * 4}


def test_a_clearance_lets_the_output_share_the_inputs_bytes() -> None:
    maker, (first, second) = chain(30, 20)
    near = Mode("forward", (Clearance(above=120, below=8),))
    plan = with_modes(maker, {second: (near,)})
    assert plan.arena_bytes == plan.lower_bound == 30 * 4 + 8
    a, b = plan.buffer(first), plan.buffer(second)
    assert a is not None
    assert b is not None
    assert a.offset - b.offset >= 8


def test_a_residual_that_lives_on_is_not_overwritten() -> None:
    maker = GraphMaker()
    x = op(maker, "relu", {"input": maker.input(64)})
    y = op(maker, "relu6", {"input": x})
    z = op(maker, "sigmoid", {"input": y})
    maker.output(op(maker, "add", {"left": z, "right": x}))
    plan = plan_memory(maker.module)
    assert plan.arena_bytes == plan.lower_bound == 2 * 64 * 4
    assert plan.buffer(x) != plan.buffer(y)
    assert plan.buffer(y) is not None


def test_the_mode_follows_from_where_the_buffers_came_to_lie() -> None:
    """Backward alone allows the small output at the end of the large input, where the next layer needs it."""
    maker, (_, b, c) = chain(40, 10, 40)
    both = (
        Mode("forward", (Clearance(above=160, below=4),)),
        Mode("backward", (Clearance(above=120, below=40),)),
    )
    grow = (Mode("forward", (Clearance(above=40, below=120),)),)
    plan = with_modes(maker, {b: both, c: grow})
    assert plan.arena_bytes == plan.lower_bound == 160
    assert plan.steps[1].mode.name == "backward"


def test_scratch_memory_is_taken_only_where_it_makes_the_arena_smaller_and_widened_where_it_is_free() -> None:
    maker, (_, b) = chain(40, 40)
    modes = (
        Mode("forward", (Clearance(above=160, below=60),)),
        Mode("lines", (Clearance(above=160, below=160, same=True),), Scratch(unit=8, units=16)),
    )
    plan = with_modes(maker, {b: modes})
    assert plan.arena_bytes == plan.lower_bound == 168
    assert plan.steps[1].scratch is not None
    assert plan.steps[1].scratch.units == 1
    roomy, (_, b, _) = chain(40, 40, 15)
    plan = with_modes(roomy, {b: modes})
    assert plan.arena_bytes == 220
    assert plan.steps[1].mode.name == "forward"
    assert plan.steps[1].scratch is None
    tight, (_, b, _) = chain(40, 40, 10)
    plan = with_modes(tight, {b: modes})
    assert plan.arena_bytes == 200
    assert plan.steps[1].scratch is not None
    assert plan.steps[1].scratch.units == 4


def test_inputs_outputs_and_constants_take_no_arena() -> None:
    maker = GraphMaker()
    x = maker.input(8)
    k = maker.random_constant("k", 1, 8)
    y = op(maker, "add", {"left": x, "right": k})
    module = maker.output(y)
    plan = plan_memory(module)
    assert [plan.place(value).space for value in (x, k, y)] == [Space.INPUT, Space.CONSTANT, Space.OUTPUT]
    assert plan.arena_bytes == plan.lower_bound == 0


@pytest.mark.parametrize("alignment", [4, 8])
def test_addresses_are_multiples_of_the_alignment(alignment: int) -> None:
    maker, _ = chain(5, 3, 7, 9, 1)
    plan = with_modes(maker, {}, alignment=alignment)
    assert all(buffer.offset % alignment == 0 for buffer in plan.buffers)


def mobilenet_v2(resolution: int = 224) -> Module:
    """Stem, one linear block and the first expanded ones of MobileNetV2 1.0: where its memory is fullest."""
    maker = GraphMaker("v2")
    counter = itertools.count()

    def conv(x: Value, channels: int, kernel: int = 1, stride: int = 1, residual: Value | None = None) -> Value:
        weight = maker.builder.constant(f"c{next(counter)}", (kernel, kernel, x.type.shape[3], channels))
        padding = (0, 1, 0, 1) if stride == 2 else (kernel // 2,) * 4
        operands = {"input": x, "filter": weight, "residual": residual}
        return op(maker, "conv2d", operands, strides=(stride, stride), padding=padding, activation="relu6")

    def depthwise(x: Value, stride: int) -> Value:
        weight = maker.builder.constant(f"d{next(counter)}", (3, 3, x.type.shape[3], 1))
        padding = (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1)
        return op(maker, "depthwise_conv2d", {"input": x, "filter": weight}, strides=(stride, stride), padding=padding)

    x = conv(maker.input(resolution, resolution, 3), 32, 3, 2)
    x = conv(depthwise(x, 1), 16)
    x = conv(depthwise(conv(x, 96), 2), 24)
    x = conv(depthwise(conv(x, 144), 1), 24, residual=x)
    x = conv(depthwise(conv(x, 144), 2), 32)
    return maker.output(op(maker, "global_avg_pool", {"input": x}))


def test_mobilenet_v2_needs_no_more_than_its_largest_tensor() -> None:
    plan = plan_memory(mobilenet_v2())
    assert plan.arena_bytes == plan.lower_bound == 112 * 112 * 96 * 4


def test_no_two_buffers_alive_at_once_share_bytes_except_an_output_and_what_it_consumes() -> None:
    plan = plan_memory(mobilenet_v2(32))
    graph = mobilenet_v2(32).graph
    assert graph is not None
    for a, b in itertools.combinations(plan.buffers, 2):
        shares = a.offset < b.offset + b.size and b.offset < a.offset + a.size
        together = a.first <= b.last and b.first <= a.last
        assert not (shares and together) or a.last == b.first or b.last == a.first


def test_the_same_module_gives_the_same_plan() -> None:
    first, second = plan_memory(mobilenet_v2(64)), plan_memory(mobilenet_v2(64))
    assert first.buffers == second.buffers
    assert first.steps == second.steps


def test_a_reshape_lives_where_its_input_does() -> None:
    maker = GraphMaker()
    x = op(maker, "relu", {"input": maker.input(2, 3)})
    y = op(maker, "reshape", {"input": op(maker, "reshape", {"input": x}, shape=(6,))}, shape=(3, 2))
    assert storage_root(y) is x
    module = maker.output(op(maker, "softmax", {"input": y}))
    plan = plan_memory(module)
    assert plan.place(y) == plan.place(x)
    assert plan.arena_bytes == 24
