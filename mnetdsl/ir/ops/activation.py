"""Names of the unary functions that an operation may apply to its result (its epilogue)."""

from __future__ import annotations

from mnetdsl.ir.declare import String

UNARY_FUNCTIONS = ("relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "silu", "gelu", "tanh")


def activation_attribute() -> String:
    """`none`, or the unary function applied to each result element."""
    return String(default="none", choices=("none", *UNARY_FUNCTIONS))
