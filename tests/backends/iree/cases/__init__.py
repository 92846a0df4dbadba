"""Small graphs for every operation, one file an operation module: `CASES` maps a name to what builds its result."""

from __future__ import annotations

from tests.backends.iree.cases import (
    argmax,
    batch_norm,
    constant,
    conv2d,
    dense,
    depthwise_conv2d,
    elementwise,
    layer_norm,
    matmul,
    normalize,
    pool,
    resize,
    shape,
    softmax,
    together,
    unary,
)
from tests.backends.iree.cases.maker import Case

CASES: dict[str, Case] = {
    f"{module.__name__.rpartition('.')[2]}: {name}": case
    for module in (
        argmax,
        batch_norm,
        constant,
        conv2d,
        dense,
        depthwise_conv2d,
        elementwise,
        layer_norm,
        matmul,
        normalize,
        pool,
        resize,
        shape,
        softmax,
        together,
        unary,
    )
    for name, case in module.CASES.items()
}
