from __future__ import annotations

from tests.backends.iree.cases.maker import Case


def concat(axis: int, *shapes: tuple[int, ...]) -> Case:
    return lambda m: m.op("concat", {"inputs": [m.fresh(*shape) for shape in shapes]}, axis=axis)


def reshape(before: tuple[int, ...], after: tuple[int, ...]) -> Case:
    return lambda m: m.op("reshape", {"input": m.fresh(*before)}, shape=after)


def transpose(shape: tuple[int, ...], order: tuple[int, ...]) -> Case:
    return lambda m: m.op("transpose", {"input": m.fresh(*shape)}, order=order)


def box(shape: tuple[int, ...], begin: tuple[int, ...], size: tuple[int, ...]) -> Case:
    return lambda m: m.op("slice", {"input": m.fresh(*shape)}, begin=begin, size=size)


CASES: dict[str, Case] = {
    "pad": lambda m: m.op("pad", {"input": m.fresh(3, 4, 2)}, padding=(1, 0, 2, 3), value=-1.5),
    "pad by nothing": lambda m: m.op("pad", {"input": m.fresh(3, 4, 2)}, padding=(0, 0, 0, 0)),
    "concat of channels": concat(3, (4, 5, 2), (4, 5, 3), (4, 5, 1)),
    "concat of rows": concat(1, (2, 5, 3), (1, 5, 3)),
    "concat of vectors": concat(1, (4,), (3,)),
    "concat of one": concat(2, (3, 4, 2)),
    "reshape to a vector": reshape((4, 5, 3), (60,)),
    "reshape to a map": reshape((60,), (4, 5, 3)),
    "reshape to other sizes": reshape((4, 5, 3), (6, 10)),
    "reshape to the same": reshape((4, 5, 3), (4, 5, 3)),
    "transpose to channels first": transpose((4, 5, 3), (2, 0, 1)),
    "transpose of rows and columns": transpose((6, 7), (1, 0)),
    "transpose of nothing": transpose((4, 5, 3), (0, 1, 2)),
    "slice of rows": box((6, 5, 3), (2, 0, 0), (3, 5, 3)),
    "slice of channels": box((4, 5, 8), (0, 0, 3), (4, 5, 2)),
    "slice of all axes": box((6, 5, 8), (1, 2, 3), (4, 1, 4)),
    "slice of features": box((9,), (4,), (5,)),
}
EXACT = {f"shape: {name}" for name in CASES}
"""Elements are moved, not computed."""
