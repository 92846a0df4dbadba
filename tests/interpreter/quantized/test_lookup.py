"""lookup reads tables by the bits of a number."""

from __future__ import annotations

import numpy as np

from mnetdsl.numerics.grid import Grid
from mnetdsl.numerics.tables import unary_table
from mnetdsl.numerics.wide_tables import FUNCTIONS, wide_table
from tests.interpreter.quantized.layers import evaluate
from tests.numerics.references import inputs, random_grid


def test_a_table_is_the_function_it_was_made_of(rng: np.random.Generator) -> None:
    source, result = random_grid(rng), random_grid(rng)
    x = next(inputs(rng, (2, 3, 4), source))
    table = unary_table("hard_swish", source, result)
    ours = evaluate("lookup", {"input": (x, source), "table": (table, None)}, result)
    np.testing.assert_array_equal(ours, evaluate("hard_swish", {"input": (x, source)}, result))


def test_a_table_by_channel(rng: np.random.Generator) -> None:
    grid = random_grid(rng, "uint8")
    x = next(inputs(rng, (2, 5, 3), grid))
    table = rng.integers(-128, 128, (3, 256)).astype(np.int8)
    ours = evaluate("lookup", {"input": (x, grid), "table": (table, None)}, Grid("int8", 0.1))
    for channel in range(3):
        np.testing.assert_array_equal(ours[..., channel], table[channel][x[..., channel]])


def test_a_table_of_513(rng: np.random.Generator) -> None:
    source, result = random_grid(rng, "int16", (1e-4, 1e-3)), Grid("int16", 1 / 32768)
    x = next(inputs(rng, (1, 500), source))
    table = wide_table(FUNCTIONS["sigmoid"], source, result)
    ours = evaluate("lookup", {"input": (x, source), "table": (table, None)}, result)
    np.testing.assert_array_equal(ours, evaluate("sigmoid", {"input": (x, source)}, result))
