"""A network as a torch module: whole networks, names, modes, copies."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import mnetdsl
from mnetdsl.ir.builder import Builder
from mnetdsl.ir.core import Module
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.training import to_torch, weights_of
from tests.graphs import GraphMaker
from tests.training.comparison import assert_torch_agrees

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

SMALL = """mnet 1

use std.blocks { conv_bn, separable }

model small() {
  input image: u8[8, 8, 3] { color = rgb, mean = 127.5, std = 64 }
  x = conv_bn(image, 8, kernel = 3, stride = 2) as stem
  for i in range(2) as body {
    x = separable(x, 8)
  }
  output logits = dense(global_avg_pool(x), 4)
}
"""


def small() -> Module:
    return build(SourceFile("small.mnet", SMALL)).module


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        ("mobilenet_v1", {"alpha": 0.5, "resolution": 96}),
        ("mobilenet_v1", {"alpha": 1.0, "resolution": 128, "classes": 10}),
        ("mobilenet_v2", {"alpha": 0.35, "resolution": 97}),
        ("mobilenet_v2", {"alpha": 1.0, "resolution": 96}),
    ],
)
def test_a_whole_network_computes_what_the_interpreter_computes(network: str, parameters: dict[str, float]) -> None:
    module = mnetdsl.load(network, **parameters).with_weights("random:5").module
    assert_torch_agrees(module, {"image": pixels(2, *module.graph.inputs[0].value.type.shape[1:])})


@pytest.mark.slow
@pytest.mark.parametrize("network", ["mobilenet_v1", "mobilenet_v2"])
def test_a_network_of_full_size_computes_what_the_interpreter_computes(network: str) -> None:
    module = mnetdsl.load(network).with_weights("random:5").module
    assert_torch_agrees(module, {"image": pixels(2, 224, 224, 3)})


def test_an_optimized_module_computes_the_same() -> None:
    network = mnetdsl.load("mobilenet_v2", alpha=0.35, resolution=64).with_weights("random:2")
    module = network.optimized()
    assert {op.opcode for op in module.graph.operations} & {"batch_norm"} == set()
    assert_torch_agrees(module, {"image": pixels(2, 64, 64, 3)})


def test_an_optimized_module_without_weights_is_not_trained() -> None:
    with pytest.raises(ValueError, match=r"train the module as written, `Network\.module`"):
        to_torch(mnetdsl.load("mobilenet_v2", alpha=0.35, resolution=64).optimized())


def test_names_and_layouts_are_those_of_the_weight_file() -> None:
    module = small()
    state = to_torch(module).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        name: type.shape for name, type in module.required().items()
    }
    assert state["stem.conv.weight"].shape == (3, 3, 3, 8)


def test_statistics_are_buffers_and_all_else_is_trained() -> None:
    net = to_torch(small())
    assert all(name.rpartition(".")[2] in ("running_mean", "running_var") for name, _ in net.named_buffers())
    net(torch.from_numpy(pixels(4, 8, 8, 3))).square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in net.parameters())


def test_arrays_of_the_module_are_copied_in_and_the_others_follow_the_seed() -> None:
    module = small()
    given = np.full((8, 4), 0.25, np.float32)
    module.resources["logits.weight"] = given
    first, again, other = (weights_of(to_torch(module, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first["logits.weight"], given)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["stem.conv.weight"], other["stem.conv.weight"])


def test_training_leaves_the_module_as_it_was() -> None:
    module = small()
    module.resources["logits.weight"] = np.ones((8, 4), np.float32)
    net = to_torch(module)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert module.resources.keys() == {"logits.weight"}
    assert module.resources["logits.weight"].all()


def test_maps_keep_their_variance_through_a_fresh_network() -> None:
    """He et al. 2015: with variance 2 / fan-in a rectified layer passes on the second moment."""
    maker = GraphMaker()
    x = maker.input(16, 16, 32)
    for index in range(8):
        filter = maker.builder.constant(f"layer{index}.weight", (3, 3, 32, 32))
        x = maker.builder.add(
            OPERATIONS["conv2d"], operands={"input": x, "filter": filter}, padding=(1, 1, 1, 1), activation="relu"
        ).result
    net = to_torch(maker.output(x))
    images = torch.randn(8, 16, 16, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert 0.1 < float(net(images).square().mean() / images.square().mean()) < 10


def test_batch_norm_follows_torch_in_training() -> None:
    maker = GraphMaker()
    image = maker.input(5, 4, 3)
    constants = {
        operand: maker.builder.constant(f"norm.{key}", (3,))
        for operand, key in (
            ("scale", "weight"),
            ("offset", "bias"),
            ("mean", "running_mean"),
            ("variance", "running_var"),
        )
    }
    norm = maker.builder.add(OPERATIONS["batch_norm"], operands={"input": image, **constants}, epsilon=0.01)
    net = to_torch(maker.output(norm.result))
    reference = torch.nn.BatchNorm2d(3, eps=0.01, momentum=0.1)
    batch = torch.randn(6, 5, 4, 3, generator=torch.Generator().manual_seed(0)) * 3 + 1
    for _ in range(3):
        expected = reference(batch.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        torch.testing.assert_close(net(batch), expected)
    torch.testing.assert_close(net.norm.running_mean, reference.running_mean)
    torch.testing.assert_close(net.norm.running_var, reference.running_var)
    torch.testing.assert_close(net.eval()(batch), reference.eval()(batch.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


def test_the_momentum_of_the_statistics_can_be_set() -> None:
    net = to_torch(small())
    net.momentum = 1.0
    images = torch.from_numpy(pixels(16, 8, 8, 3))
    net(images)
    with torch.no_grad():
        trained, evaluated = net(images), net.eval()(images)
    assert (trained - evaluated).abs().max() < 0.1 * trained.abs().max()


def test_a_part_of_the_network_can_be_frozen() -> None:
    net = to_torch(small()).train()
    net.get_submodule("stem").eval()
    net.get_submodule("stem").requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net(torch.from_numpy(pixels(4, 8, 8, 3))).sum().backward()
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(not name.startswith("stem.") for name in moved)
    assert net.stem.conv.weight.grad is None


def test_a_copy_of_a_deep_network_has_weights_of_its_own() -> None:
    net = to_torch(mnetdsl.load("mobilenet_v2", alpha=0.35, resolution=32).module).eval()
    twin = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    images = torch.from_numpy(pixels(1, 32, 32, 3))
    assert torch.count_nonzero(net(images)) > 0
    assert torch.count_nonzero(twin(images)) == 0


def test_a_layer_may_be_called_like_a_method_of_torch() -> None:
    text = SMALL.replace("as stem", "as half").replace("as body", "as type")
    module = build(SourceFile("small.mnet", text)).module
    net = to_torch(module)
    assert "half.conv.weight" in net.state_dict()
    net.load_state_dict(to_torch(module, seed=3).state_dict())
    assert_torch_agrees(Module("small", module.graph, weights_of(net)), {"image": pixels(2, 8, 8, 3)})


def test_weights_shared_by_two_layers_are_one_parameter() -> None:
    module = Module("shared")
    builder = Builder(module.graph)
    x = builder.input("x", TensorType((1, 3))).value
    for _ in range(2):
        filter = builder.constant("dense.weight", (3, 3))
        x = builder.add(OPERATIONS["dense"], operands={"input": x, "filter": filter}).result
    builder.output("y", x)
    net = to_torch(module)
    (weight,) = net.parameters()
    torch.testing.assert_close(net(torch.eye(3)), weight @ weight)


def test_pixels_may_come_as_floats_of_the_same_range() -> None:
    net = to_torch(small()).eval()
    images = torch.from_numpy(pixels(2, 8, 8, 3))
    assert torch.equal(net(images), net(images.float()))


def test_double_precision_is_kept() -> None:
    net = to_torch(small()).double().eval()
    assert net(torch.from_numpy(pixels(2, 8, 8, 3)).double()).dtype == torch.float64


def test_an_input_of_another_shape_is_refused_by_name() -> None:
    net = to_torch(small())
    with pytest.raises(ValueError, match=r"input `image` takes \[N, 8, 8, 3\], got \[2, 3, 8, 8\]"):
        net(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match="takes 1 inputs, got 0"):
        net()


def test_an_array_of_another_shape_is_refused_by_name() -> None:
    module = small()
    module.resources["logits.bias"] = np.zeros(5, np.float32)
    with pytest.raises(ValueError, match=r"`logits.bias` is \[4\], got \[5\]"):
        to_torch(module)


def test_integer_constants_are_no_parameters() -> None:
    maker = GraphMaker()
    numbers = maker.builder.constant("table", (1, 4), ElementType.I32)
    maker.module.resources["table"] = np.arange(4, dtype=np.int32).reshape(1, 4)
    left = maker.builder.input("x", TensorType((1, 4), ElementType.I32)).value
    total = maker.builder.add(OPERATIONS["add"], operands={"left": left, "right": numbers})
    net = to_torch(maker.output(total.result))
    assert list(net.parameters()) == []
    assert net(torch.ones(2, 4, dtype=torch.int32)).tolist() == [[1, 2, 3, 4]] * 2


def test_numbers_of_the_text_are_neither_trained_nor_saved() -> None:
    text = "mnet 1\nmodel net() {\n  input x: f32[4]\n  output y = dense(x * 0.5 - [1, 2, 3, 4], 2)\n}\n"
    module = build(SourceFile("net.mnet", text)).module
    network = to_torch(module)
    assert list(network.state_dict()) == ["y.weight", "y.bias"]
    assert [name for name, _ in network.named_parameters()] == ["y.weight", "y.bias"]
    x = torch.tensor([[2.0, 4.0, 6.0, 8.0]])
    assert torch.equal(network(x), network.tensor("y.bias")[None])
