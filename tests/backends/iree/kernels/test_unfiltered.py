"""Own kernels of layers without a filter compute what the interpreter computes, on every row of the table."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.backends.iree.kernels.isa import ISAS, Isa
from mnetdsl.backends.iree.kernels.normalize import choose_quotient
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.types import ElementType
from tests.backends.iree.cases.maker import CaseMaker
from tests.backends.iree.harness import inputs_of
from tests.backends.iree.kernels.test_layers import IDS, results_of, wrong_outputs


def agree(module: Module, isa: Isa) -> None:
    wrong, roads = wrong_outputs(module, isa)
    assert wrong == {}
    assert [road.remark() for road in roads if road.kernel is None] == []


def behind(maker: CaseMaker, *shape: int) -> Value:
    """A map that a kernel has computed: whatever pads its channels is not 0."""
    image = maker.fresh(*shape)
    return maker.op("sigmoid", {"input": image})


@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_products_of_maps(isa: Isa) -> None:
    maker, random = CaseMaker("products"), np.random.default_rng(1)
    for index in range(8):
        rows, depth, columns = (int(size) for size in random.integers(1, 90, 3))
        transposed = index % 2 == 1
        right = (columns, depth) if transposed else (depth, columns)
        operands = {"left": behind(maker, rows, depth), "right": behind(maker, *right)}
        scale = (1.0, 0.25)[index // 2 % 2]
        product = maker.op("matmul", operands, transpose="right" if transposed else "none", scale=scale)
        maker.output(product, f"{index}")
    large = {"left": behind(maker, 70, 260), "right": behind(maker, 140, 260)}
    maker.output(maker.op("matmul", large, transpose="right"), "large")
    agree(maker.module, isa)


@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_attention(isa: Isa) -> None:
    maker = CaseMaker("attention")
    tokens, keys, values = behind(maker, 49, 20), behind(maker, 13, 20), behind(maker, 13, 37)
    scores = maker.op("matmul", {"left": tokens, "right": keys}, transpose="right", scale=0.3)
    weights = maker.op("softmax", {"input": scores})
    maker.output(maker.op("matmul", {"left": weights, "right": values}), "result")
    agree(maker.module, isa)


@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_reductions_along_channels(isa: Isa) -> None:
    maker = CaseMaker("reductions")
    for shape in ((1,), (10,), (300,), (3, 4, 5), (6, 33), (2, 16), (5, 128), (3, 143)):
        x = behind(maker, *shape)
        maker.output(maker.op("softmax", {"input": maker.op("relu", {"input": maker.fresh(*shape)})}), f"relu{shape}")
        maker.output(maker.op("softmax", {"input": x}), f"softmax{shape}")
        maker.output(maker.op("argmax", {"input": x}), f"argmax{shape}")
        equal = maker.op("relu", {"input": maker.fresh(*shape)})
        maker.output(maker.op("argmax", {"input": equal}), f"argmax{shape} of equal numbers")
        operands = {"input": x, "scale": maker.weights(shape[-1]), "offset": maker.weights(shape[-1])}
        if shape[-1] > 1:
            maker.output(maker.op("layer_norm", operands, epsilon=1e-3), f"norm{shape}")
    agree(maker.module, isa)


@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_images_are_normalized_to_the_bit(isa: Isa) -> None:
    maker = CaseMaker("normalize")
    imagenet = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    shapes = ((16, 16, 3), (5, 5, 3), (31, 33, 3), (1, 1, 3), (2, 40, 3))
    for index, shape in enumerate(shapes):
        for element in (ElementType.U8, ElementType.I8, ElementType.I16, ElementType.F32):
            image = maker.fresh(*shape, element=element)
            for name, (mean, std) in {"one": ((127.5,), (127.5,)), "each": imagenet, "odd": ((3.0,), (7.1,))}.items():
                result = maker.op("normalize", {"input": image}, mean=mean, std=std)
                maker.output(result, f"{index}_{element.value}_{name}")
    inputs = inputs_of(maker.module, 1)
    results, roads = results_of(maker.module, isa, inputs)
    expected = run(maker.module, inputs)
    assert [name for name in expected if not np.array_equal(results[name], expected[name])] == []
    assert all(road.kernel is not None for road in roads)


def test_divisions_by_a_usual_deviation_are_products() -> None:
    assert choose_quotient((127.5,), (127.5,)) != "division"
    assert choose_quotient((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)) != "division"
    assert choose_quotient((0.0,), (128.0,)) == "product", "a power of two has an exact reciprocal"


@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_pools_with_windows(isa: Isa) -> None:
    maker, random = CaseMaker("pools"), np.random.default_rng(2)
    for index in range(16):
        kernel = tuple(int(size) for size in random.integers(1, 5, 2))
        padding = tuple(int(random.integers(0, kernel[axis // 2])) for axis in range(4))
        size = tuple(int(random.integers(kernel[axis], 20)) for axis in range(2))
        strides = tuple(int(size) for size in random.integers(1, 4, 2))
        x = behind(maker, *size, int(random.integers(1, 50)))
        opcode = ("max_pool", "avg_pool")[index % 2]
        result = maker.op(opcode, {"input": x}, kernel=kernel, padding=padding, strides=strides)
        maker.output(result, f"{index}_{opcode}")
    agree(maker.module, isa)


@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_other_sizes(isa: Isa) -> None:
    maker, random = CaseMaker("resize"), np.random.default_rng(3)
    for index in range(10):
        height, width, *size = (int(size) for size in random.integers(1, 25, 4))
        x = behind(maker, height, width, int(random.integers(1, 40)))
        method = ("nearest", "bilinear")[index % 2]
        options = {"align_corners": index % 5 == 1, "half_pixel_centers": index % 5 in (2, 3)}
        result = maker.op("resize", {"input": x}, size=tuple(size), method=method, **options)
        maker.output(result, f"{index}_{method}")
    agree(maker.module, isa)


@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_moves(isa: Isa) -> None:
    maker = CaseMaker("moves")
    for index, channels in enumerate(((2, 3, 1), (16, 5), (17, 16, 30), (150, 1), (32, 64), (7,))):
        parts = [behind(maker, 4, 5, count) for count in channels]
        maker.output(maker.op("concat", {"inputs": parts}, axis=3), f"channels{index}")
    rows = [behind(maker, height, 5, 19) for height in (2, 1, 4)]
    maker.output(maker.op("concat", {"inputs": rows}, axis=1), "rows")
    columns = [behind(maker, 3, width, 19) for width in (2, 1, 4)]
    maker.output(maker.op("concat", {"inputs": columns}, axis=2), "columns")
    x = behind(maker, 6, 5, 23)
    maker.output(maker.op("pad", {"input": x}, padding=(1, 0, 2, 3), value=-1.5), "pad")
    maker.output(maker.op("slice", {"input": x}, begin=(1, 2, 3), size=(4, 1, 18)), "slice")
    maker.output(maker.op("slice", {"input": behind(maker, 9)}, begin=(4,), size=(5,)), "features")
    for order in ((2, 0, 1), (1, 0, 2), (2, 1, 0), (0, 1, 2)):
        maker.output(maker.op("transpose", {"input": x}, order=order), f"transpose{order}")
    for shape in ((690,), (30, 23), (23, 30), (2, 345), (69, 10), (6, 5, 23)):
        maker.output(maker.op("reshape", {"input": x}, shape=shape), f"reshape{shape}")
    vector = behind(maker, 96)
    maker.output(maker.op("reshape", {"input": vector}, shape=(4, 24)), "rows of a vector")
    maker.output(maker.op("reshape", {"input": behind(maker, 3, 2, 1)}, shape=(6,)), "single channels")
    agree(maker.module, isa)


@pytest.mark.parametrize("isa", ISAS, ids=IDS)
def test_operands_that_spread(isa: Isa) -> None:
    maker = CaseMaker("spread")
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((4, 5, 19), (4, 5, 1)),
        ((1, 1, 19), (4, 5, 19)),
        ((4, 1, 19), (1, 5, 1)),
        ((1, 1, 1), (4, 5, 19)),
    ]
    shapes += [((4, 5, 19), (1, 1, 19)), ((4, 5, 19), (4, 5, 19)), ((19,), (1,)), ((1, 1, 1), (1, 1, 1))]
    for opcode in ("add", "sub", "mul"):
        for index, (left, right) in enumerate(shapes):
            operands = {"left": behind(maker, *left), "right": behind(maker, *right)}
            maker.output(maker.op(opcode, operands, activation=("none", "relu")[index % 2]), f"{opcode}{index}")
    x = maker.fresh(5, 3, 21)
    maker.output(maker.op("clamp", {"input": x}, low=-0.4, high=0.7), "clamp")
    parameters = {name: maker.weights(21) for name in ("scale", "offset", "mean")}
    variance = maker.constant("variance", maker.random.uniform(0.1, 3.0, 21).astype(np.float32))
    maker.output(maker.op("batch_norm", {"input": x, "variance": variance, **parameters}, epsilon=0.01), "batch_norm")
    agree(maker.module, isa)
