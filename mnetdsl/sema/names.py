"""Checks names in all blocks and models before expansion, so that code which no call reaches is checked too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mnetdsl.diagnostics import Diagnostic, Label, error
from mnetdsl.diagnostics.suggest import meant
from mnetdsl.sema.expressions import SYMBOLS, Frame, unknown_name
from mnetdsl.sema.functions import FUNCTIONS
from mnetdsl.sema.operations import OPERATIONS
from mnetdsl.sema.report import Report
from mnetdsl.sema.signatures import PARAMETER_TYPES
from mnetdsl.sema.values import POISON, FileScope
from mnetdsl.syntax import ast


def check_names(scope: FileScope, report: Report, syntax_errors: Sequence[Diagnostic] = ()) -> None:
    """Reports names that are defined nowhere, and malformed parameter lists.

    A block or model with a syntax error is left out, since what could not be parsed may define its names.
    """
    places = [problem.primary.span.start for problem in syntax_errors if problem.primary is not None]
    items = [item for item in scope.file.items if isinstance(item, ast.Block | ast.Model)]
    if any(not any(item.span.start <= place < item.span.end for item in scope.file.items) for place in places):
        return
    for item in items:
        if not any(item.span.start <= place < item.span.end for place in places):
            _check_parameters(item, report)
            frame = Frame(scope)
            for parameter in item.parameters:
                frame.set(parameter.name, POISON)
            _check_body(item.body, frame, report)


def _check_parameters(item: ast.Block | ast.Model, report: Report) -> None:
    seen: dict[str, ast.Parameter] = {}
    optional: ast.Parameter | None = None
    for parameter in item.parameters:
        name = parameter.name.text
        if name in seen:
            report.add(
                error(
                    "MN0202",
                    f"`{item.name.text}` has two parameters `{name}`",
                    at=parameter.name.span,
                    label="again here",
                    also=(Label(seen[name].name.span, "first here"),),
                )
            )
        seen[name] = parameter
        if parameter.type.text not in PARAMETER_TYPES:
            report.add(
                error(
                    "MN0316",
                    f"there is no type `{parameter.type.text}`",
                    at=parameter.type.span,
                    label=meant(parameter.type.text, PARAMETER_TYPES, "unknown type"),
                    help=f"the types are {', '.join(PARAMETER_TYPES)}",
                )
            )
        elif isinstance(item, ast.Model) and parameter.type.text == "tensor":
            report.add(
                error(
                    "MN0316",
                    "a model has no tensor parameters",
                    at=parameter.type.span,
                    help="its tensors come from `input`: `input image: u8[96, 96, 3]`",
                )
            )
        if parameter.default is not None:
            optional = parameter
        elif optional is not None:
            report.add(
                error(
                    "MN0317",
                    f"`{name}` needs a default value, as `{optional.name.text}` before it has one",
                    at=parameter.name.span,
                    label="no default",
                    also=(Label(optional.span, "has a default"),),
                    help="put parameters without default first",
                )
            )


def _check_body(body: tuple[ast.Statement, ...], frame: Frame, report: Report) -> None:
    """Names are visible from their first assignment on; both branches of an `if` count as taken."""
    for statement in body:
        for expression in _expressions(statement):
            _check_expression(expression, frame, report)
        match statement:
            case ast.Assign():
                for target in statement.targets:
                    _define(target, frame, report)
            case ast.Input() | ast.Output() | ast.Table():
                _define(statement.name, frame, report)
            case ast.For():
                _define(statement.variable, frame, report)
                _check_body(statement.body, frame, report)
            case ast.If():
                _check_body(statement.then, frame, report)
                _check_body(statement.otherwise, frame, report)
            case ast.Assert() | ast.Return():
                pass


def _define(name: ast.Identifier, frame: Frame, report: Report) -> None:
    if name.text in SYMBOLS:
        report.add(
            error(
                "MN0209",
                f"`{name.text}` already has a meaning in the language",
                at=name.span,
                label="this name is taken",
                help=f"call it for instance `{name.text}_value`",
            )
        )
    frame.set(name, POISON)


def _expressions(statement: ast.Statement) -> Iterator[ast.Expr]:
    match statement:
        case ast.Assign():
            yield statement.value
        case ast.Input():
            yield from statement.shape
            yield from (setting.value for setting in statement.settings)
        case ast.Output():
            yield statement.value
            yield from (setting.value for setting in statement.settings)
        case ast.Table():
            for row in statement.rows:
                yield from row.cells
        case ast.For():
            yield statement.iterable
        case ast.If():
            yield statement.condition
        case ast.Assert():
            yield statement.condition
        case ast.Return():
            yield from statement.values


def _check_expression(expression: ast.Expr, frame: Frame, report: Report) -> None:
    match expression:
        case ast.Name():
            if expression.text not in frame.variables and expression.text not in SYMBOLS:
                report.add(unknown_name(expression, frame))
        case ast.ListLiteral():
            for item in expression.items:
                _check_expression(item, frame, report)
        case ast.Unary():
            _check_expression(expression.operand, frame, report)
        case ast.Binary():
            _check_expression(expression.left, frame, report)
            _check_expression(expression.right, frame, report)
        case ast.Conditional():
            for part in (expression.condition, expression.then, expression.otherwise):
                _check_expression(part, frame, report)
        case ast.Attribute():
            _check_expression(expression.value, frame, report)
        case ast.Index():
            _check_expression(expression.value, frame, report)
            _check_expression(expression.index, frame, report)
        case ast.Call():
            _check_callee(expression, frame, report)
            for argument in expression.arguments:
                _check_expression(argument.value, frame, report)
        case ast.Number() | ast.String() | ast.Bool():
            pass


def _check_callee(call: ast.Call, frame: Frame, report: Report) -> None:
    name = call.callee.text
    known = (frame.variables, frame.scope.names, OPERATIONS, FUNCTIONS, ("none", "range"))
    if not any(name in names for names in known):
        report.add(unknown_callee(call, frame))


def unknown_callee(call: ast.Call, frame: Frame) -> Diagnostic:
    """MN0203 with the nearest name that can be called."""
    name = call.callee.text
    return error(
        "MN0203",
        f"unknown operation or block `{name}`",
        at=call.callee.span,
        label=meant(name, [*frame.scope.names, *OPERATIONS, *FUNCTIONS, "range"], "not known here"),
        help=f"begin the file with `use std.blocks {{ {name} }}`" if name in LIBRARY_BLOCKS else "",
    )


LIBRARY_BLOCKS = ("conv_bn", "separable", "inverted_residual")
"""Blocks of `std.blocks`, for the help of those who forgot the `use`."""
