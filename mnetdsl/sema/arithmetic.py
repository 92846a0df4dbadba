"""Operators of the language on compile-time values."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from mnetdsl.sema import bounds
from mnetdsl.sema.values import Activation, Symbol, Value, describe, type_name


class OperatorProblem(Exception):
    """An operator cannot be applied; the message says why. `code` is the diagnostic's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


_ARITHMETIC: dict[str, Callable[[float, float], int | float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def binary(symbol: str, left: Value, right: Value) -> Value:
    """`left symbol right` for numbers, strings, lists, words; `and` and `or` are not evaluated here."""
    if symbol in ("==", "!="):
        return _equal(symbol, left, right)
    if isinstance(left, tuple) and isinstance(right, tuple) and symbol == "+":
        if len(left) + len(right) > bounds.MAX_LIST:
            raise OperatorProblem("MN0504", f"a list may have at most {bounds.MAX_LIST} items")
        return left + right
    if not (isinstance(left, int | float) and isinstance(right, int | float)) or not (
        is_number(left) and is_number(right)
    ):
        raise OperatorProblem("MN0307", f"`{symbol}` cannot be applied to {describe(left)} and {describe(right)}")
    if symbol in _ORDER:
        return _ORDER[symbol](left, right)
    if symbol in ("/", "//", "%") and right == 0:
        raise OperatorProblem("MN0501", f"division by zero: {left} {symbol} {right}")
    return checked(_arithmetic(symbol, left, right))


def _equal(symbol: str, left: Value, right: Value) -> bool:
    comparable = (type_name(left) == type_name(right)) or (is_number(left) and is_number(right))
    words = (Symbol, Activation)
    if not comparable and not (isinstance(left, words) and isinstance(right, words)):
        raise OperatorProblem(
            "MN0307", f"`{symbol}` compares {describe(left)} with {describe(right)}, which never can be equal"
        )
    if isinstance(left, words) and isinstance(right, words):
        return (left.text == right.text) == (symbol == "==")
    return (left == right) == (symbol == "==")


def _arithmetic(symbol: str, left: int | float, right: int | float) -> int | float:
    if symbol == "**" and (abs(right) > 64 or (left == 0 and right < 0)):
        raise OperatorProblem("MN0504", f"{left} ** {right} is out of range")
    try:
        result = _ARITHMETIC[symbol](left, right)
    except OverflowError:
        raise OperatorProblem("MN0504", f"{left} {symbol} {right} is out of range") from None
    if isinstance(result, complex):
        raise OperatorProblem("MN0504", f"{left} ** {right} is not a real number")
    return result


def checked(value: int | float) -> int | float:
    """`value`, if its magnitude is one that a float holds exactly."""
    if isinstance(value, float) and not math.isfinite(value):
        raise OperatorProblem("MN0504", f"the result is {value}")
    if isinstance(value, int) and abs(value) > bounds.MAX_INTEGER:
        raise OperatorProblem("MN0504", f"the result is beyond {bounds.MAX_INTEGER}")
    return value


def negate(value: Value) -> Value:
    if not is_number(value) or not isinstance(value, int | float):
        raise OperatorProblem("MN0307", f"`-` cannot be applied to {describe(value)}")
    return -value
