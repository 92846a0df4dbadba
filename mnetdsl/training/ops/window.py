"""Views between [N, H, W, C] and [N, C, H, W], and padding of maps (no operation of its own)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def to_nchw(map: Tensor) -> Tensor:
    """The same memory seen as [N, C, H, W]: channels_last where `map` is contiguous."""
    return map.permute(0, 3, 1, 2)


def to_nhwc(map: Tensor) -> Tensor:
    """The same memory seen as [N, H, W, C]."""
    return map.permute(0, 2, 3, 1)


def split_padding(map: Tensor, padding: tuple[int, ...]) -> tuple[Tensor, tuple[int, int]]:
    """`map` [N, C, H, W] and the padding left to the convolution: torch's own pads both sides alike, so a padding
    that differs between them is done here."""
    top, bottom, left, right = padding
    if top == bottom and left == right:
        return map, (top, left)
    return functional.pad(map, (left, right, top, bottom)), (0, 0)
