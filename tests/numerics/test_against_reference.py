"""Each formula against TensorFlow Lite's reference kernels: not one bit differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnetdsl.numerics import clamps, concat, conversions, elementwise, functions, mean, softmax, tables, wide_tables
from mnetdsl.numerics.grid import LIMITS, Grid
from mnetdsl.numerics.requantization import quantize_multiplier
from tests.numerics.references import EIGHT_BITS, Array, inputs, on, random_grid
from tests.tflite_models import ACTIVATIONS, Tensor, run_single

ROUNDS = 12


def same(ours: Array, reference: Array) -> None:
    assert ours.dtype == reference.dtype
    np.testing.assert_array_equal(ours.reshape(reference.shape), reference)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_quantize(rng: np.random.Generator, dtype: str) -> None:
    for _ in range(ROUNDS):
        grid = random_grid(rng, dtype)
        steps = rng.integers(-70000, 70000, (2, 500)) / 2
        near = np.nextafter(np.float32(grid.scale * steps), np.float32(np.inf))
        x = np.concatenate([np.float32(grid.scale * steps), near, rng.normal(0, 9, (2, 99)).astype(np.float32)], 1)
        same(
            conversions.quantize(x, grid), run_single("QUANTIZE", [Tensor(x.shape, "float32")], [x], on(grid, x.shape))
        )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_dequantize(rng: np.random.Generator, dtype: str) -> None:
    for _ in range(ROUNDS):
        grid = random_grid(rng, dtype)
        for q in inputs(rng, (3, 700), grid):
            reference = run_single("DEQUANTIZE", [on(grid, q.shape)], [q], Tensor(q.shape, "float32"))
            same(conversions.dequantize(q, grid), reference)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("int8", "int8"),
        ("int8", "uint8"),
        ("uint8", "int8"),
        ("uint8", "uint8"),
        ("int8", "int16"),
        ("int16", "int8"),
        ("int16", "int16"),
    ],
)
def test_requantize(rng: np.random.Generator, source: str, target: str) -> None:
    for _ in range(ROUNDS):
        left, right = random_grid(rng, source), random_grid(rng, target)
        for q in inputs(rng, (3, 300), left):
            same(
                conversions.requantize(q, left, right),
                run_single("QUANTIZE", [on(left, q.shape)], [q], on(right, q.shape)),
            )


def test_requantize_between_signs_flips_a_bit(rng: np.random.Generator) -> None:
    left, right = Grid("int8", 0.1, -1), Grid("uint8", 0.1, 127)
    q = tables.all_stored("int8")
    assert (conversions.requantize(q, left, right) == (q.view(np.uint8) ^ 0x80)).all()


SHAPES = [
    ((1, 3, 5, 7), (1, 3, 5, 7)),
    ((1, 3, 5, 7), (1, 1, 1, 7)),
    ((1, 1, 1, 1), (1, 4, 4, 3)),
    ((1, 1, 5, 1), (1, 4, 1, 3)),
]
OPTIONS: dict[str, dict[str, Any]] = {"add": {"potScaleInt16": False}, "sub": {"potScaleInt16": False}, "mul": {}}


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("operation", ["add", "sub", "mul"])
def test_elementwise(rng: np.random.Generator, operation: str, dtype: str) -> None:
    for number in range(ROUNDS):
        scales = (1e-5, 1e-3) if dtype == "int16" else (0.002, 0.3)
        left, right, result = (random_grid(rng, dtype, scales) for _ in range(3))
        activation = ("none", "relu", "relu6")[number % 3]
        shapes = SHAPES[number % len(SHAPES)]
        options = {**OPTIONS[operation], "fusedActivationFunction": ACTIVATIONS[activation]}
        for x, y in zip(inputs(rng, shapes[0], left), inputs(rng, shapes[1], right), strict=True):
            expected = run_single(
                operation.upper(),
                [on(left, x.shape), on(right, y.shape)],
                [x, y],
                on(result, np.broadcast_shapes(*shapes)),
                f"{operation.capitalize()}Options",
                options,
            )
            same(getattr(elementwise, operation)(x, y, (left, right), result, activation), expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("keep", [True, False])
def test_mean(rng: np.random.Generator, dtype: str, keep: bool) -> None:
    for number in range(ROUNDS):
        source = random_grid(rng, dtype)
        result = source if number == 0 else random_grid(rng, dtype, (source.scale / 4, source.scale * 2))
        height, width = (int(size) for size in rng.integers(1, 13, 2))
        for x in inputs(rng, (1, height, width, 40), source):
            axes = Tensor.constant(np.array([1, 2], np.int32))
            shape = (1, 1, 1, 40) if keep else (1, 40)
            options = {"keepDims": keep}
            expected = run_single(
                "MEAN", [on(source, x.shape), axes], [x], on(result, shape), "ReducerOptions", options
            )
            same(mean.mean(x.astype(np.int64).sum((1, 2)), height * width, source, result), expected)


def concatenation(x: Array, y: Array, grids: tuple[Grid, Grid], result: Grid) -> Array:
    shape = (*x.shape[:-1], x.shape[-1] + y.shape[-1])
    tensors = [on(grid, array.shape) for grid, array in zip(grids, (x, y), strict=True)]
    return run_single(
        "CONCATENATION", tensors, [x, y], on(result, shape), "ConcatenationOptions", {"axis": len(shape) - 1}
    )


def test_concat_of_bytes_converts_each_tensor(rng: np.random.Generator) -> None:
    for number in range(ROUNDS * 3):
        left, right, result = (random_grid(rng, "uint8") for _ in range(3))
        left = result if number % 3 == 0 else left
        for x, y in zip(inputs(rng, (1, 2, 256), left), inputs(rng, (1, 2, 99), right), strict=True):
            ours = np.concatenate([concat.joined(x, left, result), concat.joined(y, right, result)], axis=-1)
            same(ours, concatenation(x, y, (left, right), result))


def test_concat_keeps_numbers_of_one_grid(rng: np.random.Generator) -> None:
    grid = random_grid(rng, "int8")
    x, y = next(inputs(rng, (1, 5, 3), grid)), next(inputs(rng, (1, 5, 4), grid))
    same(np.concatenate([x, y], axis=-1), concatenation(x, y, (grid, grid), grid))


@pytest.mark.parametrize("dtype", EIGHT_BITS)
def test_softmax(rng: np.random.Generator, dtype: str) -> None:
    result = Grid(dtype, 1 / 256, LIMITS[dtype][0])
    for channels in (1, 2, 3, 10, 21, 257, 400, 1001, 1001, 1001):
        source = random_grid(rng, dtype, (0.02 if channels > 500 else 0.001, 1.0))
        # The reference aborts where more than 511 channels are nearly equal.
        for q in list(inputs(rng, (2, 3, channels), source))[: 1 if channels > 500 else 3]:
            expected = run_single(
                "SOFTMAX", [on(source, q.shape)], [q], on(result, q.shape), "SoftmaxOptions", {"beta": 1.0}
            )
            same(softmax.softmax(q, source, result), expected)


def test_softmax_of_many_equal_channels_is_zero() -> None:
    """Each is 1/1001, less than half a step; the reference aborts."""
    found = softmax.softmax(np.zeros((1, 1001), np.int8), Grid("int8", 0.1, 0), Grid("int8", 1 / 256, -128))
    assert (found == -128).all()


def results(rng: np.random.Generator, function: str, dtype: str) -> Grid:
    if function == "sigmoid":
        return Grid(dtype, 1 / 256, LIMITS[dtype][0])
    if function == "tanh":
        return Grid(dtype, 1 / 128, 0 if dtype == "int8" else 128)
    return random_grid(rng, dtype, (0.005, 0.2))


CODES = {
    "relu": "RELU",
    "relu6": "RELU6",
    "sigmoid": "LOGISTIC",
    "tanh": "TANH",
    "gelu": "GELU",
    "hard_swish": "HARD_SWISH",
}


@pytest.mark.parametrize("dtype", EIGHT_BITS)
@pytest.mark.parametrize("function", CODES)
def test_tables(rng: np.random.Generator, function: str, dtype: str) -> None:
    for _ in range(ROUNDS * 5):
        source, result = random_grid(rng, dtype, (0.005, 0.5)), results(rng, function, dtype)
        q = tables.all_stored(dtype)[None]
        kind = ("GeluOptions", {"approximate": False}) if function == "gelu" else ("", {})
        expected = run_single(CODES[function], [on(source, q.shape)], [q], on(result, q.shape), *kind)
        same(tables.unary_table(function, source, result)[None], expected)


@pytest.mark.parametrize("dtype", EIGHT_BITS)
def test_clamp_table(rng: np.random.Generator, dtype: str) -> None:
    for _ in range(ROUNDS):
        source, result = random_grid(rng, dtype), random_grid(rng, dtype)
        q = tables.all_stored(dtype)[None]
        expected = run_single("RELU_N1_TO_1", [on(source, q.shape)], [q], on(result, q.shape))
        same(tables.clamp_table(-1.0, 1.0, source, result)[None], expected)


@pytest.mark.parametrize("function", ["silu", "hard_sigmoid"])
def test_functions_without_a_kernel_are_rounded_once(rng: np.random.Generator, function: str) -> None:
    for _ in range(ROUNDS):
        source, result = random_grid(rng), random_grid(rng)
        q = tables.all_stored("int8")
        real = tables.DOUBLE[function]((q.astype(np.float64) - source.zero_point) * source.scale)
        error = tables.unary_table(function, source, result) - (real / result.scale + result.zero_point)
        inside = (real / result.scale + result.zero_point > -128) & (real / result.scale + result.zero_point < 127)
        assert (np.abs(error[inside]) <= 0.5 + 1e-9).all()


def test_lookup_reads_bits_as_unsigned_numbers() -> None:
    table = np.arange(256, dtype=np.int16)
    assert tables.lookup(np.array([[0, 127, -128, -1]], np.int8), table).tolist() == [[0, 127, 128, 255]]
    rows = np.stack([table, -table])
    assert tables.lookup(np.array([[1, 1], [-1, -1]], np.int8), rows).tolist() == [[1, -1], [255, -255]]


def test_wide_tables(rng: np.random.Generator) -> None:
    """EXP is the operator of the reference that makes its int16 table this way."""
    for _ in range(ROUNDS):
        source, result = random_grid(rng, "int16", (1e-5, 2e-4)), random_grid(rng, "int16", (1e-4, 1e-2))
        for q in inputs(rng, (1, 5000), source):
            expected = run_single("EXP", [on(source, q.shape)], [q], on(result, q.shape))
            table = wide_tables.wide_table(lambda x: np.exp(x.astype(np.float64)), source, result)
            same(wide_tables.wide_lookup(q, table), expected)


@pytest.mark.parametrize("function", wide_tables.FUNCTIONS)
def test_wide_functions_follow_the_function(rng: np.random.Generator, function: str) -> None:
    source, result = Grid("int16", 8 / 32768), Grid("int16", 8 / 32768)
    q = next(inputs(rng, (5000,), source))
    real = wide_tables.FUNCTIONS[function](q.astype(np.float64) * source.scale)
    error = wide_tables.wide_unary(function, q, source, result) * result.scale - real
    assert np.abs(error).max() < (0.004 if function.startswith("hard") else 0.001)


def test_clamps_are_stored_numbers() -> None:
    grid = Grid("int8", 0.05, -100)
    assert clamps.activation_range(grid, "none") == (-128, 127)
    assert clamps.activation_range(grid, "relu") == (-100, 127)
    assert clamps.activation_range(grid, "relu6") == (-100, 20)
    assert clamps.activation_range(Grid("int8", 0.01, -100), "relu6") == (-100, 127)


def test_the_mean_of_one_number_is_a_requantization() -> None:
    source, result = Grid("int8", 0.3, 4), Grid("int8", 0.2, -7)
    assert mean.mean_factor(1, source, result) == quantize_multiplier(source.scale / result.scale)


def test_functions_do_not_overflow() -> None:
    far = np.array([-1e4, 1e4], np.float32)
    assert functions.sigmoid_single(far).tolist() == [0.0, 1.0]
    assert functions.sigmoid(far).tolist() == [0.0, 1.0]
