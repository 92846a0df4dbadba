"""Expressions as text, with the fewest parentheses that keep their meaning."""

from __future__ import annotations

from mnetdsl.syntax import ast

_STRENGTH = {
    "or": 1,
    "and": 2,
    "not": 3,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 4),
    "+": 5,
    "-": 5,
    **dict.fromkeys(("*", "/", "//", "%"), 6),
    "**": 8,
}
CONDITIONAL, SIGN, POSTFIX = 0, 7, 9


def inline(expression: ast.Expr) -> str:
    """The expression on one line; numbers keep the spelling they were written in."""
    return _print(expression, 0)


def argument(item: ast.Argument) -> str:
    value = inline(item.value)
    return value if item.name is None else f"{item.name.text} = {value}"


def _print(expression: ast.Expr, strength: int) -> str:
    text, own = _text(expression)
    return f"({text})" if own < strength else text


def _text(expression: ast.Expr) -> tuple[str, int]:
    """The text and how strongly it binds."""
    match expression:
        case ast.Name():
            return expression.text, POSTFIX
        case ast.Number() | ast.String():
            return expression.span.text, POSTFIX
        case ast.Bool():
            return ("true" if expression.value else "false"), POSTFIX
        case ast.ListLiteral():
            return f"[{', '.join(map(inline, expression.items))}]", POSTFIX
        case ast.Call():
            return f"{expression.callee.text}({', '.join(map(argument, expression.arguments))})", POSTFIX
        case ast.Attribute():
            return f"{_print(expression.value, POSTFIX)}.{expression.name.text}", POSTFIX
        case ast.Index():
            return f"{_print(expression.value, POSTFIX)}[{inline(expression.index)}]", POSTFIX
        case ast.Unary() if expression.operator == "not":
            return f"not {_print(expression.operand, _STRENGTH['not'])}", _STRENGTH["not"]
        case ast.Unary():
            return f"-{_print(expression.operand, SIGN)}", SIGN
        case ast.Binary():
            return _binary(expression)
        case ast.Conditional():
            then, condition = _print(expression.then, 1), _print(expression.condition, 1)
            return f"{then} if {condition} else {_print(expression.otherwise, 0)}", CONDITIONAL


def _binary(expression: ast.Binary) -> tuple[str, int]:
    own = _STRENGTH[expression.operator]
    left, right = own, own + 1
    if own == 4:
        left = own + 1
    if expression.operator == "**":
        left, right = POSTFIX, SIGN
    return f"{_print(expression.left, left)} {expression.operator} {_print(expression.right, right)}", own
