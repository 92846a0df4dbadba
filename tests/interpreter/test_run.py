from __future__ import annotations

import warnings
import weakref
from typing import Any

import numpy as np
import pytest

from mnetdsl.diagnostics import MnetError
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Op
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.dense import Dense
from mnetdsl.ir.ops.elementwise import Add
from mnetdsl.ir.ops.normalize import Normalize
from mnetdsl.ir.ops.pool import GlobalAvgPool
from mnetdsl.ir.ops.unary import HardSwish, Relu
from mnetdsl.ir.types import ElementType, TensorType
from tests.graphs import GraphMaker


def classifier() -> Module:
    """image u8[6, 6, 3] -> normalize -> conv -> hard_swish -> mean -> dense 4; outputs `logits` and `features`."""
    maker = GraphMaker("classifier")
    builder = maker.builder
    place = Location("image", "net.mnet", 4, 3)
    image = builder.input("image", TensorType((1, 6, 6, 3), ElementType.U8), place).value
    x = builder.add(Normalize, operands={"input": image}, mean=(127.5,), std=(127.5,)).result
    filter = maker.random_constant("stem.weight", 3, 3, 3, 8)
    x = builder.add(Conv2d, Location("stem"), operands={"input": x, "filter": filter}, strides=(2, 2)).result
    x = builder.add(HardSwish, operands={"input": x}).result
    features = builder.add(GlobalAvgPool, operands={"input": x}).result
    weights = maker.random_constant("classifier.weight", 8, 4)
    logits = builder.add(Dense, Location("classifier"), operands={"input": features, "filter": weights}).result
    builder.output("logits", logits)
    return maker.output(features, "features")


def images(batch: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, 6, 6, 3), dtype=np.uint8)


def test_outputs_by_name() -> None:
    outputs = run(classifier(), {"image": images(1)})
    assert list(outputs) == ["logits", "features"]
    assert {name: array.shape for name, array in outputs.items()} == {"logits": (1, 4), "features": (1, 8)}
    assert all(array.dtype == np.float32 for array in outputs.values())


def test_a_batch_is_its_images() -> None:
    module, batch = classifier(), images(5)
    together = run(module, {"image": batch})["logits"]
    for index, image in enumerate(batch):
        np.testing.assert_allclose(run(module, {"image": image[None]})["logits"][0], together[index], rtol=1e-5)


def test_same_input_same_bits() -> None:
    module = classifier()
    first, second = (run(module, {"image": images(2)})["logits"].tobytes() for _ in range(2))
    assert first == second


def test_inputs_in_any_memory_order_are_read_and_not_written() -> None:
    module, batch = classifier(), images(2)
    expected = run(module, {"image": batch})["logits"]
    scattered = np.asfortranarray(batch)
    scattered.flags.writeable = False
    np.testing.assert_array_equal(run(module, {"image": scattered})["logits"], expected)


def test_observer_sees_every_operation_but_constants_in_order() -> None:
    module = classifier()
    seen: list[tuple[str, tuple[int, ...]]] = []
    kept: dict[Op, np.ndarray] = {}

    def observe(op: Op, array: np.ndarray) -> None:
        seen.append((op.opcode, array.shape))
        kept[op] = array

    outputs = run(module, {"image": images(3)}, observe)
    assert seen == [
        ("normalize", (3, 6, 6, 3)),
        ("conv2d", (3, 2, 2, 8)),
        ("hard_swish", (3, 2, 2, 8)),
        ("global_avg_pool", (3, 8)),
        ("dense", (3, 4)),
    ]
    again: list[np.ndarray] = []
    run(module, {"image": images(3)}, lambda op, array: again.append(array.copy()))
    for array, copy in zip(kept.values(), again, strict=True):
        np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(outputs["logits"], again[-1])


def test_tensors_are_released_behind_their_last_reader() -> None:
    maker = GraphMaker()
    x = maker.input(4)
    skip = maker.builder.add(Relu, Location("skip"), operands={"input": x}).result
    y = maker.builder.add(Relu, Location("first"), operands={"input": skip}).result
    y = maker.builder.add(Relu, Location("second"), operands={"input": y}).result
    y = maker.builder.add(Add, Location("join"), operands={"left": y, "right": skip}).result
    maker.builder.add(Relu, Location("unread"), operands={"input": y})
    y = maker.builder.add(Relu, Location("last"), operands={"input": y}).result
    arrays: dict[str, weakref.ref[Any]] = {}
    alive: dict[str, set[str]] = {}

    def observe(op: Op, array: np.ndarray) -> None:
        alive[op.name] = {name for name, array in arrays.items() if array() is not None}
        arrays[op.name] = weakref.ref(array)

    run(maker.output(y), {"image": np.ones((1, 4), np.float32)}, observe)
    assert alive == {
        "skip": set(),
        "first": {"skip"},
        "second": {"skip", "first"},
        "join": {"skip", "second"},
        "unread": {"join"},
        "last": {"join"},
    }


def test_an_input_may_be_an_output() -> None:
    maker = GraphMaker()
    x = maker.input(3)
    given = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(run(maker.output(x), {"image": given})["result"], given)


def test_an_output_that_depends_on_no_input_has_the_batch_of_the_run() -> None:
    maker = GraphMaker()
    maker.input(3)
    fixed = maker.builder.add(Relu, operands={"input": maker.random_constant("anchors", 1, 5)}).result
    assert run(maker.output(fixed), {"image": np.zeros((4, 3), np.float32)})["result"].shape == (4, 5)


def test_nan_and_overflow_come_through_without_warnings() -> None:
    maker = GraphMaker()
    x = maker.input(2)
    y = maker.builder.add(Add, operands={"left": x, "right": x}).result
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run(maker.output(y), {"image": np.array([[3e38, np.nan]], np.float32)})["result"]
    np.testing.assert_array_equal(result, [[np.inf, np.nan]])


def failure(module: Module, inputs: dict[str, np.ndarray]) -> list[tuple[str, str, str | None, str]]:
    """Code, message, place and first help of each diagnostic."""
    with pytest.raises(MnetError) as raised:
        run(module, inputs)
    return [(d.code, d.message, d.location, d.help[0]) for d in raised.value.diagnostics]


def test_all_missing_weights_are_one_message() -> None:
    maker = GraphMaker()
    x = maker.input(2)
    for index in range(5):
        weights = maker.builder.constant(f"layer{index}.weight", (2, 2), location=Location("", "net.mnet", 9 + index))
        x = maker.builder.add(Dense, operands={"input": x, "filter": weights}).result
    (message,) = failure(maker.output(x), {"image": np.zeros((1, 2), np.float32)})
    assert message == (
        "MN0720",
        "weights are not loaded: `layer0.weight`, `layer1.weight`, `layer2.weight` and 2 more",
        "net.mnet:9",
        "give a weight file with `--weights FILE`, or made-up weights with `--weights random:1`",
    )


def test_input_names() -> None:
    assert failure(classifier(), {"picture": images(1)}) == [
        (
            "MN0620",
            "no array is given for input `image` of `classifier`",
            "net.mnet:4",
            "give an array under the name `image`: [N, 6, 6, 3] uint8",
        ),
        ("MN0620", "`classifier` has no input `picture`", None, "its inputs are `image`"),
    ]


@pytest.mark.parametrize(
    ("array", "found", "help"),
    [
        (images(1)[0], "[6, 6, 3] uint8", "add the batch dimension in front: `array[None]`"),
        (images(1).astype(np.float32), "[1, 6, 6, 3] float32", "convert it: `array.astype(numpy.uint8)`"),
        (images(1)[:, :5], "[1, 5, 6, 3] uint8", "give an array [N, 6, 6, 3] uint8; N is the batch, at least 1"),
        (images(1)[:0], "[0, 6, 6, 3] uint8", "give an array [N, 6, 6, 3] uint8; N is the batch, at least 1"),
    ],
)
def test_input_that_does_not_fit(array: np.ndarray, found: str, help: str) -> None:
    assert failure(classifier(), {"image": array}) == [
        ("MN0621", f"input `image` needs [N, 6, 6, 3] uint8, the array is {found}", "net.mnet:4", help)
    ]


def test_inputs_of_different_batch_sizes() -> None:
    maker = GraphMaker()
    left, right = maker.input(3, name="left"), maker.input(3, name="right")
    module = maker.output(maker.builder.add(Add, operands={"left": left, "right": right}).result)
    (message,) = failure(module, {"left": np.zeros((1, 3), np.float32), "right": np.zeros((2, 3), np.float32)})
    assert message[:2] == ("MN0621", "the inputs have different batch sizes: `left` 1, `right` 2")
