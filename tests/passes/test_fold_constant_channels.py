"""Channels of one value go, and no bit of any output, or of any channel that is left, changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl import api
from mnetdsl.backends.c.host import HostRunner
from mnetdsl.cost.macs import multiply_accumulates
from mnetdsl.files import write_folder
from mnetdsl.importers.tflite import import_tflite
from mnetdsl.interpreter import run
from mnetdsl.ir.clone import clone
from mnetdsl.ir.core import Module, Op, Value
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.ir.ops.depthwise_conv2d import DepthwiseConv2d
from mnetdsl.ir.printer import print_module
from mnetdsl.ir.text.reader import read_module
from mnetdsl.ir.verifier import verify
from mnetdsl.passes.channel_intervals import channel_intervals
from mnetdsl.passes.context import Context, Remark
from mnetdsl.passes.derive import materialize
from mnetdsl.passes.fold_constant_channels import FoldConstantChannels
from mnetdsl.source import SourceFile
from tests.backends.c.quantized.layers import Layers
from tests.real_data import tflite
from tests.toolchain import require

Array = NDArray[Any]


def folded(module: Module, context: Context | None = None) -> Module:
    result = clone(module)
    verify(result)
    FoldConstantChannels().run(result, context or Context())
    verify(result)
    materialize(result)
    return result


def macs(module: Module) -> int:
    return sum(multiply_accumulates(op) for op in module.graph.operations)


def observed(module: Module, inputs: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Outputs, and results of the operations by name."""
    results: dict[str, Array] = {}

    def keep(op: Op, array: Array) -> None:
        results[op.name] = array

    return run(module, inputs, keep), results


def assert_same_bits(module: Module, inputs: dict[str, Array]) -> Module:
    """Holds outputs to those of `module`, layers to some of its channels, and all to their intervals."""
    result = folded(module)
    expected, layers = observed(module, inputs)
    outputs, left = observed(result, inputs)
    for name, array in expected.items():
        np.testing.assert_array_equal(outputs[name], array, err_msg=name)
    for name, array in left.items():
        whole = {column.tobytes() for column in np.moveaxis(layers[name], -1, 0)}
        assert all(column.tobytes() in whole for column in np.moveaxis(array, -1, 0)), name
    found = channel_intervals(module)
    for op in module.graph.operations:
        if op.result in found and op.opcode != "constant":
            array = layers[op.name].reshape(-1, op.type.shape[-1])
            assert np.all(array >= found[op.result].low), op.name
            assert np.all(array <= found[op.result].high), op.name
    return result


def biased(layers: Layers, value: Value, channels: list[int], amount: int) -> Value:
    """The layer that gives `value` with a bias that pins some channels to an end of the range."""
    name = next(op for op in layers.module.graph.operations if op.result is value).operand_group("bias")[0]
    constant = name.producer
    assert constant is not None
    layers.module.resources[str(constant.attributes["resource"])][channels] = amount
    return value


def chain(seed: int, padding: int = 1, activation: str = "relu") -> tuple[Layers, list[Value]]:
    """Pointwise, depthwise, pointwise; channels 1 and 3 of the first hold the largest number, 5 the smallest."""
    layers = Layers(seed)
    first = layers.weighted("conv2d", layers.input(5, 6, 3), (1, 1, 3, 8), activation)
    biased(layers, first, [1, 3], 2**29)
    biased(layers, first, [5], -(2**29))
    second = layers.weighted(
        "depthwise_conv2d", first, (3, 3, 8, 1), activation, padding=(padding,) * 4, strides=(1, 1)
    )
    third = layers.weighted("conv2d", second, (1, 1, 8, 4))
    layers.output(third)
    return layers, [first, second, third]


def channels(module: Module, opcode: str) -> list[int]:
    return [op.type.shape[-1] for op in module.graph.operations if op.opcode == opcode]


def test_constants_without_padding_go_with_all_that_made_them() -> None:
    layers, (first, second, _) = chain(1, padding=0)
    found = channel_intervals(layers.module)
    assert found[first].constant[[1, 3, 5]].all()
    assert found[second].constant[[1, 3, 5]].all()
    result = assert_same_bits(layers.module, layers.inputs())
    gone = int(found[second].constant.sum())
    assert channels(result, "depthwise_conv2d") == [8 - gone]
    assert channels(result, "conv2d")[0] <= 8 - gone
    assert macs(result) < macs(layers.module)


def test_a_padded_depthwise_layer_reads_a_constant_beside_its_border() -> None:
    """Where the border differs from the constant, so do results."""
    layers, (first, second, _) = chain(2, activation="none")
    biased(layers, second, list(range(8)), 0)
    found = channel_intervals(layers.module)
    assert found[first].constant[[1, 3, 5]].all()
    assert not found[second].constant[[1, 3]].any()
    context = Context()
    result = folded(layers.module, context)
    assert_same_bits(layers.module, layers.inputs())
    assert channels(result, "depthwise_conv2d") == [8 - int(found[second].constant.sum())]
    assert any("beside its padding" in remark.message for remark in context.remarks if not remark.applied)


@pytest.mark.parametrize("value", [-128, 127])
def test_a_padded_convolution_folds_the_zero_point_alone(value: int) -> None:
    layers = Layers(4)
    first = layers.weighted("conv2d", layers.input(4, 4, 2), (1, 1, 2, 4), "relu")
    biased(layers, first, [2], 2**29 if value == 127 else -(2**29))
    layers.output(layers.weighted("conv2d", first, (3, 3, 4, 3), padding=(1, 1, 1, 1)))
    result = assert_same_bits(layers.module, layers.inputs())
    constant = channel_intervals(layers.module)[first]
    removable = int((constant.constant & (constant.low == -128)).sum())
    assert constant.constant[2]
    assert int(constant.low[2]) == value
    assert channels(result, "conv2d")[0] == 4 - removable


def test_weights_of_zero_make_a_channel_unread() -> None:
    layers = Layers(5)
    first = layers.weighted("conv2d", layers.input(3, 3, 2), (1, 1, 2, 5))
    second = layers.weighted("conv2d", first, (3, 3, 5, 3), padding=(1, 1, 1, 1))
    layers.output(second)
    filter = next(name for name, array in layers.module.resources.items() if array.shape == (3, 3, 5, 3))
    layers.module.resources[filter][:, :, 4] = 0
    context = Context()
    assert channels(folded(layers.module, context), "conv2d") == [4, 3]
    assert any("1 unread" in remark.message for remark in context.remarks)
    assert_same_bits(layers.module, layers.inputs())


def test_both_sides_of_a_sum_keep_the_same_channels() -> None:
    layers = Layers(6)
    x = layers.input(4, 4, 3)
    left = biased(layers, layers.weighted("conv2d", x, (1, 1, 3, 6), "relu"), [0, 1], 2**29)
    right = biased(layers, layers.weighted("conv2d", x, (1, 1, 3, 6), "relu"), [1, 2], 2**29)
    both = layers.op("add", {"left": left, "right": right}, layers.storage(-128))
    layers.output(layers.weighted("conv2d", both, (1, 1, 6, 3)))
    found = channel_intervals(layers.module)
    result = assert_same_bits(layers.module, layers.inputs())
    assert found[both].constant[1]
    assert channels(result, "add") == [6 - int(found[both].constant.sum())]
    assert channels(result, "conv2d")[:2] == channels(result, "add") * 2


def test_outputs_keep_their_shape() -> None:
    layers = Layers(7)
    first = layers.weighted("conv2d", layers.input(3, 3, 2), (1, 1, 2, 4), "relu")
    layers.output(biased(layers, first, [0, 1, 2, 3], 2**29))
    result = assert_same_bits(layers.module, layers.inputs())
    assert channels(result, "conv2d") == [4]


def test_a_tensor_of_constants_alone_keeps_one_channel() -> None:
    layers = Layers(8)
    first = layers.weighted("conv2d", layers.input(3, 3, 2), (1, 1, 2, 4), "relu")
    biased(layers, first, [0, 1, 2, 3], 2**29)
    layers.output(layers.weighted("conv2d", first, (1, 1, 4, 3)))
    assert channels(assert_same_bits(layers.module, layers.inputs()), "conv2d") == [1, 3]


def test_nothing_is_known_without_weights() -> None:
    layers, _ = chain(9)
    module = clone(layers.module)
    module.resources.clear()
    context = Context()
    text = print_module(module)
    FoldConstantChannels().run(module, context)
    assert print_module(module) == text
    assert ["not loaded" in remark.message for remark in context.remarks] == [True]


def test_the_text_of_the_result_is_read_back_and_derived_again() -> None:
    layers, _ = chain(10, padding=0)
    result = folded(layers.module)
    again = read_module(SourceFile("net.mlir", print_module(result)))
    again.resources.update({name: layers.module.resources[name] for name in again.required()})
    materialize(again)
    inputs = layers.inputs()
    for name, array in run(result, inputs).items():
        np.testing.assert_array_equal(run(again, inputs)[name], array)


def test_a_second_run_changes_nothing() -> None:
    layers, _ = chain(11, padding=0)
    once = folded(layers.module)
    assert print_module(folded(once)) == print_module(once)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_keep_their_bits(seed: int) -> None:
    """Chains and branches of all kinds of layers, every third channel pinned to an end or nearly."""
    layers = Layers(100 + seed)
    random = layers.random
    values = [layers.input(int(random.integers(3, 8)), int(random.integers(3, 8)), 3)]
    for _ in range(int(random.integers(4, 10))):
        values.append(_random_layer(layers, values))
    layers.output(values[-1])
    if random.random() < 0.3:
        layers.output(values[len(values) // 2])
    assert_same_bits(layers.module, layers.inputs())


def _random_layer(layers: Layers, values: list[Value]) -> Value:
    random, x = layers.random, values[-1]
    size = x.type.shape[-1]
    window = int(random.choice([1, 1, 3])) if min(x.type.shape[1:3]) >= 3 else 1
    settings: dict[str, Any] = {
        "padding": tuple(int(side) for side in random.integers(0, window // 2 + 1, 4)),
        "strides": (1, 1) if random.random() < 0.7 else (2, 1),
        "activation": str(random.choice(["none", "relu", "relu6"])),
    }
    kind = str(random.choice(["conv", "conv", "depthwise", "add", "mul", "pool", "pad"]))
    same = [value for value in values if value.type.shape == x.type.shape]
    if kind in ("conv", "depthwise"):
        opcode, filter = "conv2d", (window, window, size, int(random.integers(2, 9)))
        if kind == "depthwise":
            opcode, filter = "depthwise_conv2d", (window, window, size, int(random.choice([1, 1, 1, 2])))
        result = layers.weighted(opcode, x, filter, **settings)
        count = result.type.shape[-1]
        pinned = random.choice(count, size=max(1, count // 3), replace=False)
        return biased(layers, result, list(pinned), int(random.choice([-(2**29), 2**29, 2**21, -(2**21)])))
    if kind in ("add", "mul"):
        other = same[int(random.integers(len(same)))]
        return layers.op(kind, {"left": x, "right": other}, layers.storage(), activation=settings["activation"])
    storage = x.type.storage
    if kind == "pad":
        return layers.op("pad", {"input": x}, storage, padding=(1, 0, 0, 1), value=float(random.choice([0.0, 1.0])))
    kernel = tuple(min(2, side) for side in x.type.shape[1:3])
    return layers.op(str(random.choice(["max_pool", "avg_pool"])), {"input": x}, storage, kernel=kernel)


def test_half_of_a_real_network_is_constant(tmp_path: Path) -> None:
    """vww_96: outputs have the same bits for noise and extremes, at half the multiply-accumulates."""
    write_folder(tmp_path, import_tflite(tflite("vww_96_int8")).files)
    require("gcc")
    network, remarks = api.load(tmp_path).with_weights(), list[Remark]()
    module = network.optimized()
    result = network.without_constant_channels(remarks.append).optimized()
    assert macs(module) == 7_489_664
    assert macs(result) < 3_780_000
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (3, 96, 96, 3)).astype(np.uint8)
    ends = random.choice([0, 255], (2, 96, 96, 3)).astype(np.uint8)
    flat = np.stack([np.full((96, 96, 3), value, np.uint8) for value in (0, 255, 128)])
    inputs = {module.graph.inputs[0].name: np.concatenate([noise, ends, flat])}
    compiled = HostRunner(result).run(inputs)
    for name, array in run(module, inputs).items():
        np.testing.assert_array_equal(run(result, inputs)[name], array)
        np.testing.assert_array_equal(compiled[name], array)
    assert "7,489,664 MACs before" in remarks[-1].message


@pytest.mark.parametrize("multiple", [1, 2, 4, 8])
def test_channels_are_kept_up_to_a_multiple(multiple: int, tmp_path: Path) -> None:
    write_folder(tmp_path, import_tflite(tflite("vww_96_int8")).files)
    module = clone(api.load(tmp_path).with_weights().optimized())
    FoldConstantChannels(multiple).run(module, Context())
    verify(module)
    channels = [op.type.shape[-1] for op in module.graph.operations if isinstance(op, Conv2d | DepthwiseConv2d)]
    assert all(count % multiple == 0 for count in channels)
    assert min(channels) < 32
