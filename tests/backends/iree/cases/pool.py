from __future__ import annotations

from mnetdsl.ir.declare import AttributeValue
from tests.backends.iree.cases.maker import Case


def pool(opcode: str, size: tuple[int, int, int], **attributes: AttributeValue) -> Case:
    return lambda m: m.op(opcode, {"input": m.fresh(*size)}, **attributes)


CASES: dict[str, Case] = {
    "average": pool("avg_pool", (6, 6, 4), kernel=(2, 2), strides=(2, 2)),
    "average, border not counted": pool("avg_pool", (7, 5, 3), kernel=(3, 3), padding=(1, 1, 1, 1)),
    "average, asymmetric": pool("avg_pool", (7, 8, 3), kernel=(3, 2), strides=(2, 3), padding=(2, 1, 0, 1)),
    "average of one window, pixels behind it": pool("avg_pool", (4, 5, 3), kernel=(3, 3), strides=(3, 3)),
    "maximum of one window, margin behind it": pool(
        "max_pool", (2, 4, 3), kernel=(3, 3), strides=(2, 1), padding=(1, 1, 1, 1)
    ),
    "maximum": pool("max_pool", (6, 7, 4), kernel=(3, 3), strides=(2, 2)),
    "maximum of negatives at the border": pool("max_pool", (5, 5, 3), kernel=(3, 3), padding=(1, 1, 1, 1)),
    "maximum, asymmetric": pool("max_pool", (7, 8, 3), kernel=(2, 3), strides=(3, 2), padding=(0, 1, 2, 0)),
    "global": pool("global_avg_pool", (7, 5, 20)),
    "global of one pixel": pool("global_avg_pool", (1, 1, 8)),
    "global of a large map": pool("global_avg_pool", (56, 48, 3)),
}
