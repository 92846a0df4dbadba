"""Networks that several tests of the C backend compile: a small MobileNet, and random graphs."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from mnetdsl.ir.core import Module, OperandArgument, Value
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.ops.window import same_padding, window_output
from mnetdsl.ir.types import ElementType, TensorType
from tests.graphs import GraphMaker


class Network(GraphMaker):
    """A graph whose layers have names, weights and places in a file."""

    def layer(self, name: str, opcode: str, operands: Mapping[str, OperandArgument], **attributes: Any) -> Value:
        line = len(self.module.graph.operations) + 1
        location = Location(name, "some/where/net.mnet", line, 3)
        return self.builder.add(OPERATIONS[opcode], location, operands=operands, **attributes).result

    def conv(self, name: str, x: Value, channels: int, kernel: int = 1, stride: int = 1, **attributes: Any) -> Value:
        inputs = x.type.shape[3]
        residual = attributes.pop("residual", None)
        weight = self.random_constant(
            f"{name}.weight", kernel, kernel, inputs, channels, scale=(kernel**2 * inputs) ** -0.5
        )
        operands = {"input": x, "filter": weight, "bias": self.random_constant(f"{name}.bias", channels, scale=0.1)}
        return self.layer(
            name,
            "conv2d",
            {**operands, "residual": residual},
            strides=(stride, stride),
            padding=self.same(x, kernel, stride),
            **attributes,
        )

    def depthwise(self, name: str, x: Value, kernel: int = 3, stride: int = 1, **attributes: object) -> Value:
        channels = x.type.shape[3]
        weight = self.random_constant(f"{name}.weight", kernel, kernel, channels, 1, scale=1 / kernel)
        operands = {"input": x, "filter": weight, "bias": self.random_constant(f"{name}.bias", channels, scale=0.1)}
        padding = self.same(x, kernel, stride)
        return self.layer(name, "depthwise_conv2d", operands, strides=(stride, stride), padding=padding, **attributes)

    @staticmethod
    def same(x: Value, kernel: int, stride: int) -> tuple[int, int, int, int]:
        rows = same_padding(x.type.shape[1], kernel, stride, 1)
        columns = same_padding(x.type.shape[2], kernel, stride, 1)
        return (*rows, *columns)


def small_mobilenet(name: str = "tiny", size: int = 16, seed: int = 0) -> Module:
    """u8 image, stem, two inverted residuals, classifier with labels and softmax: every part of a package."""
    net = Network(name, seed)
    port = net.builder.input("image", TensorType((1, size, size, 3), ElementType.U8))
    port.attributes |= {"color": "rgb", "mean": (127.5,), "std": (127.5,)}
    x = net.layer("image", "normalize", {"input": port.value}, mean=(127.5,), std=(127.5,))
    x = net.conv("stem", x, 8, 3, 2, activation="relu6")
    y = net.conv("body.1.expand", x, 24, activation="relu6")
    y = net.depthwise("body.1.depthwise", y, activation="relu6")
    x = net.conv("body.1.project", y, 8, residual=x)
    y = net.conv("body.2.expand", x, 48, activation="hard_swish")
    y = net.depthwise("body.2.depthwise", y, 5, 2, activation="hard_swish")
    x = net.conv("body.2.project", y, 16)
    x = net.layer("pool", "global_avg_pool", {"input": x})
    weight = net.random_constant("classifier.weight", 16, 3, scale=0.3)
    x = net.layer("classifier", "dense", {"input": x, "filter": weight})
    output = net.builder.output("scores", net.layer("softmax", "softmax", {"input": x}))
    output.attributes["labels"] = ('a "quoted" cat', "naïve dog??/", "bird")
    return net.module


def random_network(seed: int, layers: int = 14) -> Module:
    """A graph of maps with branches that join again, every operation on maps, and one or two outputs."""
    random = Random(seed)
    net = Network(f"random{seed}", seed)
    alive = [
        net.layer(
            "start",
            "relu6",
            {"input": net.input(random.randint(4, 9), random.randint(4, 9), random.choice([3, 8, 17]))},
        )
    ]
    for index in range(layers):
        alive.append(_random_layer(net, random, f"l{index}", random.choice(alive[-3:]), alive))
    net.builder.output("map", alive[-1])
    x = net.layer("mean", "global_avg_pool", {"input": random.choice(alive[-4:])})
    weight = net.random_constant("head", x.type.shape[1], 5, scale=0.2)
    net.builder.output(
        "scores", net.layer("answer", "softmax", {"input": net.layer("head", "dense", {"input": x, "filter": weight})})
    )
    return net.module


def _random_layer(net: Network, random: Random, name: str, x: Value, alive: list[Value]) -> Value:
    height, width, channels = x.type.shape[1:]
    kind = random.choice(
        ["conv", "conv", "pointwise", "pointwise", "depthwise", "depthwise", "unary", "join", "pool", "pad"]
    )
    activation = random.choice(["none", "relu6", *UNARY_FUNCTIONS])
    if kind == "pointwise":
        same = [value for value in alive if value.type.shape[1:3] == (height, width)]
        residual = random.choice(same) if random.random() < 0.6 else None
        outputs = residual.type.shape[3] if residual is not None else random.choice([4, 16, 24, 40])
        return net.conv(name, x, outputs, residual=residual, activation=activation)
    if kind == "conv":
        return net.conv(
            name, x, random.choice([4, 16, 20]), random.choice([2, 3]), random.choice([1, 1, 2]), activation=activation
        )
    if kind == "depthwise":
        return net.depthwise(name, x, random.choice([3, 5]), random.choice([1, 1, 1, 2]), activation=activation)
    if kind == "unary":
        return net.layer(name, random.choice(UNARY_FUNCTIONS), {"input": x})
    if kind == "pool":
        kernel = (min(2, height), min(3, width))
        padding = (kernel[0] - 1, 0, 0, kernel[1] - 1)
        stride = random.choice([1, 2])
        assert window_output(height, kernel[0], stride, 1, padding[0], padding[1]) >= 1
        return net.layer(
            name,
            random.choice(["avg_pool", "max_pool"]),
            {"input": x},
            kernel=kernel,
            strides=(stride, stride),
            padding=padding,
        )
    if kind == "pad":
        return net.layer(name, "pad", {"input": x}, padding=tuple(random.randint(0, 1) for _ in range(4)), value=0.5)
    other = random.choice(alive)
    if other.type.shape[1:3] == (height, width):
        if other.type.shape == x.type.shape:
            return net.layer(name, random.choice(["add", "mul"]), {"left": x, "right": other}, activation="relu6")
        return net.layer(name, "concat", {"inputs": [x, other]}, axis=3)
    gate = net.random_constant(f"{name}.gate", 1, 1, 1, channels)
    return net.layer(name, "mul", {"left": x, "right": gate})
