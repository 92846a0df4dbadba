from __future__ import annotations

from tests.backends.iree.cases.maker import Case


def layer_norm(*shape: int) -> Case:
    return lambda m: m.op(
        "layer_norm",
        {"input": m.fresh(*shape), "scale": m.weights(shape[-1]), "offset": m.weights(shape[-1])},
        epsilon=1e-3,
    )


CASES: dict[str, Case] = {
    "of features": layer_norm(70),
    "of every pixel": layer_norm(3, 4, 5),
    "of a sequence": layer_norm(6, 33),
}
