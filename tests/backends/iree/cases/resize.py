from __future__ import annotations

from mnetdsl.ir.declare import AttributeValue
from tests.backends.iree.cases.maker import Case


def resize(size: tuple[int, int], **attributes: AttributeValue) -> Case:
    return lambda m: m.op("resize", {"input": m.fresh(5, 7, 3)}, size=size, **attributes)


CASES: dict[str, Case] = {
    "larger": resize((9, 20)),
    "smaller": resize((3, 2), half_pixel_centers=True),
    "to the corners": resize((9, 13), align_corners=True),
    "by centers of pixels": resize((10, 14), half_pixel_centers=True),
    "of one pixel": lambda m: m.op("resize", {"input": m.fresh(1, 1, 4)}, size=(3, 5)),
    "to the nearest": resize((9, 13), method="nearest"),
    "to the nearest by centers": resize((3, 16), method="nearest", half_pixel_centers=True),
    "to the nearest with corners": resize((9, 13), method="nearest", align_corners=True),
}
