from __future__ import annotations

from mnetdsl.ir.types import ElementType
from tests.backends.iree.cases.maker import Case


def normalize(shape: tuple[int, ...], element: ElementType, mean: tuple[float, ...], std: tuple[float, ...]) -> Case:
    return lambda m: m.op("normalize", {"input": m.fresh(*shape, element=element)}, mean=mean, std=std)


IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

CASES: dict[str, Case] = {
    "u8 image": normalize((16, 16, 3), ElementType.U8, (127.5,), (127.5,)),
    "u8 image, number of bytes no multiple of four": normalize((5, 5, 3), ElementType.U8, *IMAGENET),
    "u8 large enough for vectors": normalize((96, 96, 3), ElementType.U8, *IMAGENET),
    "u8 gray": normalize((9, 9, 1), ElementType.U8, (0.0,), (255.0,)),
    "i8": normalize((6, 6, 3), ElementType.I8, (-3.0,), (3.0,)),
    "i16": normalize((5, 5, 1), ElementType.I16, (0.0,), (32768.0,)),
    "f32": normalize((6, 6, 3), ElementType.F32, *IMAGENET),
}
EXACT = {f"normalize: {name}" for name in CASES}
"""Rounded as the interpreter rounds, to the bit, on CPUs."""
