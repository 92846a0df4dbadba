"""What holds for every operation, whatever it computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnetdsl.interpreter import evaluate_op
from mnetdsl.interpreter.ops import EVALUATIONS
from mnetdsl.ir.ops import FLOAT_OPERATIONS
from tests.interpreter.evaluation import floats, make

MAP = floats(2, 5, 6, 3)
WINDOW = {"kernel": (3, 3), "padding": (1, 1, 1, 1)}
UNARY: tuple[dict[str, Any], dict[str, Any]] = ({"input": MAP}, {})
EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "normalize": ({"input": MAP}, {"mean": (0.5,), "std": (2.0,)}),
    "conv2d": (
        {"input": MAP, "filter": floats(3, 3, 3, 4), "bias": floats(4), "residual": floats(2, 5, 6, 4)},
        {"padding": (1, 1, 1, 1), "activation": "hard_swish"},
    ),
    "depthwise_conv2d": (
        {"input": MAP, "filter": floats(3, 3, 3, 2), "bias": floats(6)},
        {"padding": (1, 1, 1, 1), "activation": "sigmoid"},
    ),
    "dense": ({"input": floats(2, 6), "filter": floats(6, 4), "bias": floats(4)}, {"activation": "gelu"}),
    "batch_norm": (
        {
            "input": MAP,
            "scale": floats(3, seed=1),
            "offset": floats(3, seed=2),
            "mean": floats(3, seed=3),
            "variance": np.abs(floats(3, seed=4)),
        },
        {},
    ),
    "layer_norm": ({"input": MAP, "scale": floats(3, seed=1), "offset": floats(3, seed=2)}, {}),
    "add": ({"left": MAP, "right": floats(2, 1, 1, 3)}, {"activation": "silu"}),
    "sub": ({"left": MAP, "right": floats(2, 1, 1, 3)}, {"activation": "relu"}),
    "mul": ({"left": MAP, "right": floats(2, 1, 1, 3)}, {"activation": "tanh"}),
    "clamp": ({"input": MAP}, {"low": -0.5, "high": 0.5}),
    "relu": UNARY,
    "relu6": UNARY,
    "hard_sigmoid": UNARY,
    "hard_swish": UNARY,
    "sigmoid": UNARY,
    "silu": UNARY,
    "gelu": UNARY,
    "tanh": UNARY,
    "softmax": UNARY,
    "matmul": ({"left": floats(2, 5, 3), "right": floats(2, 4, 3)}, {"transpose": "right", "scale": 0.5}),
    "avg_pool": ({"input": MAP}, WINDOW),
    "max_pool": ({"input": MAP}, WINDOW),
    "global_avg_pool": UNARY,
    "pad": ({"input": MAP}, {"padding": (1, 2, 3, 4)}),
    "concat": ({"inputs": [MAP, floats(2, 5, 6, 1)]}, {"axis": 3}),
    "reshape": ({"input": MAP}, {"shape": (10, 9)}),
    "transpose": ({"input": MAP}, {"order": (2, 0, 1)}),
    "resize": ({"input": MAP}, {"size": (9, 4), "half_pixel_centers": True}),
    "argmax": UNARY,
    "slice": ({"input": MAP}, {"begin": (1, 0, 2), "size": (3, 6, 1)}),
}


def test_every_operation_is_evaluated_by_the_module_of_its_name() -> None:
    assert set(EVALUATIONS) == set(FLOAT_OPERATIONS)
    for opcode, kind in FLOAT_OPERATIONS.items():
        name = kind.__module__.rpartition(".")[2]
        assert EVALUATIONS[opcode].__module__ == f"mnetdsl.interpreter.ops.{name}"
        assert (Path(__file__).parent / "ops" / f"test_{name}.py").exists()


def test_every_operation_has_an_example() -> None:
    assert set(EXAMPLES) == set(FLOAT_OPERATIONS) - {"constant"}


@pytest.mark.parametrize("opcode", EXAMPLES)
def test_result_has_the_inferred_shape_and_element_type(opcode: str) -> None:
    op, arrays = make(opcode, *EXAMPLES[opcode])
    result = evaluate_op(op, arrays, {})
    assert result.shape == (2, *op.type.shape[1:])
    assert result.dtype == op.type.element.dtype


@pytest.mark.parametrize("opcode", EXAMPLES)
def test_operands_are_not_written(opcode: str) -> None:
    op, arrays = make(opcode, *EXAMPLES[opcode])
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    try:
        evaluate_op(op, arrays, {})
    finally:
        for array in arrays:
            array.flags.writeable = True
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("opcode", EXAMPLES)
def test_memory_order_of_operands_does_not_matter(opcode: str) -> None:
    op, arrays = make(opcode, *EXAMPLES[opcode])
    scattered = []
    for array in arrays:
        wide = np.zeros([2 * size for size in array.shape], array.dtype).transpose()
        view = wide[tuple(slice(None, None, 2) for _ in array.shape)].transpose()
        view[...] = array
        scattered.append(view)
    np.testing.assert_allclose(evaluate_op(op, scattered, {}), evaluate_op(op, arrays, {}), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("opcode", EXAMPLES)
def test_images_of_a_batch_do_not_influence_each_other(opcode: str) -> None:
    op, arrays = make(opcode, *EXAMPLES[opcode])
    together = evaluate_op(op, arrays, {})
    batched = [
        array.ndim > 1 and value.type.shape != array.shape for value, array in zip(op.operands, arrays, strict=True)
    ]
    for image in range(2):
        alone = [
            array[image : image + 1] if has_batch else array for array, has_batch in zip(arrays, batched, strict=True)
        ]
        np.testing.assert_allclose(evaluate_op(op, alone, {})[0], together[image], rtol=1e-6, atol=1e-6)
