"""What a constant becomes: a parameter or a statistic, and the values that training starts from."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import torch
from torch import Generator, Tensor

from mnetdsl.ir.core import Value
from mnetdsl.ir.types import ElementType, Shape

Initialize = Callable[[Shape, Generator], Tensor]


def _he_conv2d(shape: Shape, generator: Generator) -> Tensor:
    """Variance 2 / fan-in, which keeps the variance of maps through rectifiers (He et al. 2015, eq. 10)."""
    height, width, channels, _ = shape
    return torch.randn(shape, generator=generator) * sqrt(2 / (height * width * channels))


def _he_depthwise(shape: Shape, generator: Generator) -> Tensor:
    """As above; each output of a depthwise convolution reads one channel."""
    height, width, _, _ = shape
    return torch.randn(shape, generator=generator) * sqrt(2 / (height * width))


def _dense(shape: Shape, generator: Generator) -> Tensor:
    """Variance 1 / fan-in: what follows is rarely a rectifier (LeCun et al. 1998)."""
    return torch.randn(shape, generator=generator) * sqrt(1 / shape[0])


def _zeros(shape: Shape, generator: Generator) -> Tensor:
    return torch.zeros(shape)


def _ones(shape: Shape, generator: Generator) -> Tensor:
    return torch.ones(shape)


def _small(shape: Shape, generator: Generator) -> Tensor:
    """For constants that play no part known here, such as learned tokens."""
    return torch.randn(shape, generator=generator) * sqrt(1 / prod(shape[1:]))


INITIAL: dict[tuple[str, str], Initialize] = {
    ("conv2d", "filter"): _he_conv2d,
    ("conv2d", "bias"): _zeros,
    ("depthwise_conv2d", "filter"): _he_depthwise,
    ("depthwise_conv2d", "bias"): _zeros,
    ("dense", "filter"): _dense,
    ("dense", "bias"): _zeros,
    ("batch_norm", "scale"): _ones,
    ("batch_norm", "offset"): _zeros,
    ("batch_norm", "mean"): _zeros,
    ("batch_norm", "variance"): _ones,
    ("layer_norm", "scale"): _ones,
    ("layer_norm", "offset"): _zeros,
    ("add", "left"): _zeros,
    ("add", "right"): _zeros,
    ("sub", "left"): _zeros,
    ("sub", "right"): _zeros,
    ("mul", "left"): _ones,
    ("mul", "right"): _ones,
}
"""(Opcode, operand) of the constant's reader -> values before training."""

STATISTICS = frozenset({("batch_norm", "mean"), ("batch_norm", "variance")})
"""Readers whose constants batches change, not gradients."""


def is_trainable(constant: Value) -> bool:
    """Whether the optimizer may change it."""
    return constant.type.element is ElementType.F32 and not STATISTICS & set(_roles(constant))


def initial_values(constant: Value, generator: Generator) -> Tensor:
    """[shape] of the constant, by the part it plays for its first reader in operand order."""
    known = [INITIAL[role] for role in _roles(constant) if role in INITIAL]
    initialize = known[0] if known else _small
    return initialize(constant.type.shape, generator).to(getattr(torch, constant.type.element.dtype))


def _roles(constant: Value) -> list[tuple[str, str]]:
    return [
        (user.opcode, definition.name)
        for user in constant.users
        for definition in user.operand_defs
        if constant in user.operand_group(definition.name)
    ]
