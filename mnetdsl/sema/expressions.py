"""Evaluates expressions at compile time; calls of operations and blocks go on to `expand`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mnetdsl.diagnostics import Diagnostic, Label, error
from mnetdsl.diagnostics.suggest import meant
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.sema import arithmetic, bounds
from mnetdsl.sema.functions import FUNCTIONS
from mnetdsl.sema.operations import OPERATIONS
from mnetdsl.sema.pairs import combines
from mnetdsl.sema.report import Report, Reported
from mnetdsl.sema.signatures import GivenArgument
from mnetdsl.sema.values import (
    Activation,
    FileScope,
    Poison,
    Symbol,
    TableRow,
    TableValue,
    Tensor,
    Value,
    describe,
    type_name,
    with_article,
)
from mnetdsl.source import Span
from mnetdsl.syntax import ast

SYMBOLS: dict[str, Symbol | Activation] = {
    **{name: Symbol(name) for name in ("same", "valid", "symmetric", "bilinear", "nearest", "rgb", "bgr", "gray")},
    **{name: Activation(name) for name in ("none", *UNARY_FUNCTIONS)},
}
"""Words that need no definition."""

TENSOR_HELP = (
    "tensors are combined by `+`, `-` and `*`, also with numbers; to divide, multiply by the reciprocal",
    "their sizes are `x.channels`, `x.shape`",
)
TENSOR_ATTRIBUTES = ("shape", "rank", "height", "width", "channels")


@dataclass
class Frame:
    """Variables of one block or model body, and the file whose top-level names it sees."""

    scope: FileScope
    variables: dict[str, Value] = field(default_factory=dict)
    defined_at: dict[str, Span] = field(default_factory=dict)
    kind: str = "model"

    @property
    def in_library(self) -> bool:
        return self.scope.is_library

    def set(self, name: ast.Identifier, value: Value) -> None:
        self.variables[name.text] = value
        self.defined_at[name.text] = name.span


CallHandler = Callable[[ast.Call, list[GivenArgument], Frame, str | None], Value]
BinaryHandler = Callable[[str, Value, Value, Span, Frame, str | None], Value]


class Evaluator:
    """Evaluates expressions in a frame. `call` expands operations and blocks, `tensor_binary` makes add and mul."""

    def __init__(self, report: Report, call: CallHandler, tensor_binary: BinaryHandler) -> None:
        self.report = report
        self._call = call
        self._tensor_binary = tensor_binary
        self._steps = 0
        self._depth = 0

    @contextmanager
    def level(self, span: Span) -> Iterator[None]:
        """Counts what is under evaluation at once, blocks included."""
        self._depth += 1
        try:
            if self._depth > bounds.MAX_DEPTH:
                raise self.report.stop(
                    error(
                        "MN0502",
                        f"expressions and blocks are nested more than {bounds.MAX_DEPTH} levels deep here",
                        at=span,
                        help="give a part of it a name",
                    )
                )
            yield
        finally:
            self._depth -= 1

    def step(self, span: Span) -> None:
        """Counts one evaluated node, so that no file runs for ever."""
        self._steps += 1
        if self._steps > bounds.MAX_STEPS:
            raise self.report.stop(
                error(
                    "MN0503",
                    f"this takes more than {bounds.MAX_STEPS} evaluation steps",
                    at=span,
                    help="does a loop or a block multiply without end?",
                )
            )

    def evaluate(self, expression: ast.Expr, frame: Frame, label: str | None = None) -> Value:
        """The value; raises `Reported` after collecting a diagnostic, also where an operand was reported before."""
        self.step(expression.span)
        with self.level(expression.span):
            return self._evaluate(expression, frame, label)

    def _evaluate(self, expression: ast.Expr, frame: Frame, label: str | None) -> Value:
        match expression:
            case ast.Number() | ast.String() | ast.Bool():
                return self._literal(expression)
            case ast.Name():
                return self._name(expression, frame)
            case ast.ListLiteral():
                return tuple(self.evaluate(item, frame) for item in expression.items)
            case ast.Unary():
                return self._unary(expression, frame)
            case ast.Binary():
                return self._binary(expression, frame, label)
            case ast.Conditional():
                chosen = self.condition(expression.condition, frame)
                return self.evaluate(expression.then if chosen else expression.otherwise, frame, label)
            case ast.Attribute():
                return self._attribute(expression, frame)
            case ast.Index():
                return self._index(expression, frame)
            case ast.Call():
                return self.call(expression, frame, label)

    def condition(self, expression: ast.Expr, frame: Frame) -> bool:
        value = self.evaluate(expression, frame)
        if not isinstance(value, bool):
            raise self._stop(
                "MN0308",
                f"a condition must be a bool, got {describe(value)}",
                expression.span,
                frame,
                help="compare it, for instance `> 0`",
            )
        return value

    def call(self, call: ast.Call, frame: Frame, label: str | None) -> Value:
        name = call.callee.text
        arguments = self._arguments(call, frame)
        variable = frame.variables.get(name)
        if isinstance(variable, Activation):
            if variable.text == "none":
                return self._no_activation(call, arguments, frame)
            renamed = ast.Call(call.span, ast.Name(call.callee.span, variable.text), call.arguments)
            return self._call(renamed, arguments, frame, label)
        if variable is not None:
            raise self._stop(
                "MN0306",
                f"`{name}` is {describe(variable)} and cannot be called",
                call.callee.span,
                frame,
                also=(Label(frame.defined_at[name], "defined here"),) if name in frame.defined_at else (),
            )
        if name in FUNCTIONS:
            return self._function(name, call, arguments, frame)
        if name == "none":
            return self._no_activation(call, arguments, frame)
        return self._call(call, arguments, frame, label)

    def _arguments(self, call: ast.Call, frame: Frame) -> list[GivenArgument]:
        """Evaluates all arguments, so that errors in several of them are all reported."""
        given: list[GivenArgument] = []
        failed = False
        for argument in call.arguments:
            try:
                value = self.evaluate(argument.value, frame)
            except Reported:
                failed = True
                continue
            name = argument.name
            given.append(
                GivenArgument(
                    None if name is None else name.text, None if name is None else name.span, value, argument.value.span
                )
            )
        if failed:
            raise Reported
        return given

    def _no_activation(self, call: ast.Call, arguments: list[GivenArgument], frame: Frame) -> Value:
        if len(arguments) != 1 or not isinstance(arguments[0].value, Tensor):
            raise self._stop("MN0302", "`none` needs one tensor", call.span, frame)
        return arguments[0].value

    def _function(self, name: str, call: ast.Call, arguments: list[GivenArgument], frame: Frame) -> Value:
        fewest, most, meaning = FUNCTIONS[name]
        for argument in arguments:
            if argument.name_span is not None:
                raise self._stop("MN0303", f"`{name}` has no named parameters", argument.name_span, frame)
            if not arithmetic.is_number(argument.value):
                raise self._stop(
                    "MN0301",
                    f"`{name}` needs numbers, got {describe(argument.value)}",
                    argument.span,
                    frame,
                    label=f"this is {with_article(type_name(argument.value))}",
                )
        if not fewest <= len(arguments) <= most:
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            code = "MN0302" if len(arguments) < fewest else "MN0304"
            raise self._stop(code, f"`{name}` needs {wanted} arguments, got {len(arguments)}", call.span, frame)
        if name == "make_divisible" and not (isinstance(arguments[1].value, int) and arguments[1].value > 0):
            raise self._stop("MN0310", "`make_divisible` needs a positive int divisor", arguments[1].span, frame)
        if name == "sqrt" and isinstance(arguments[0].value, int | float) and arguments[0].value < 0:
            raise self._stop("MN0310", "`sqrt` needs a number of at least 0", arguments[0].span, frame)
        try:
            return arithmetic.checked(meaning(*(argument.value for argument in arguments)))
        except arithmetic.OperatorProblem as problem:
            raise self._stop(problem.code, problem.message, call.span, frame) from None

    def _literal(self, literal: ast.Number | ast.String | ast.Bool) -> Value:
        if isinstance(literal, ast.Number):
            try:
                return arithmetic.checked(literal.value)
            except arithmetic.OperatorProblem as problem:
                raise self.report.stop(error(problem.code, problem.message, at=literal.span)) from None
        return literal.value

    def _name(self, name: ast.Name, frame: Frame) -> Value:
        if name.text in frame.variables:
            value = frame.variables[name.text]
            if isinstance(value, Poison):
                raise Reported
            return value
        if name.text in SYMBOLS:
            return SYMBOLS[name.text]
        raise self.report.stop(unknown_name(name, frame))

    def _unary(self, unary: ast.Unary, frame: Frame) -> Value:
        if unary.operator == "not":
            return not self.condition(unary.operand, frame)
        value = self.evaluate(unary.operand, frame)
        try:
            return arithmetic.negate(value)
        except arithmetic.OperatorProblem as problem:
            raise self._stop(problem.code, problem.message, unary.span, frame) from None

    def _binary(self, binary: ast.Binary, frame: Frame, label: str | None) -> Value:
        if binary.operator in ("and", "or"):
            left_holds = self.condition(binary.left, frame)
            if left_holds == (binary.operator == "or"):
                return left_holds
            return self.condition(binary.right, frame)
        left = self.evaluate(binary.left, frame)
        right = self.evaluate(binary.right, frame)
        if combines(binary.operator, left, right):
            return self._tensor_binary(binary.operator, left, right, binary.span, frame, label)
        try:
            return arithmetic.binary(binary.operator, left, right)
        except arithmetic.OperatorProblem as problem:
            tensors = isinstance(left, Tensor) or isinstance(right, Tensor)
            help = TENSOR_HELP if tensors else ()
            raise self._stop(problem.code, problem.message, binary.span, frame, help=help) from None

    def _attribute(self, attribute: ast.Attribute, frame: Frame) -> Value:
        value = self.evaluate(attribute.value, frame)
        name = attribute.name.text
        names: tuple[str, ...] = ()
        if isinstance(value, Tensor):
            names = TENSOR_ATTRIBUTES
            shape = value.type.shape[1:]
            found: dict[str, Value] = {"shape": shape, "rank": len(shape), "channels": shape[-1]}
            if len(shape) == 3:
                found |= {"height": shape[0], "width": shape[1]}
            if name in found:
                return found[name]
            if name in names:
                raise self._stop(
                    "MN0402", f"tensor {value.type} has no {name}: it is not a map", attribute.name.span, frame
                )
        elif isinstance(value, TableRow):
            names = (*value.cells, "first", "index")
            if name in value.cells:
                return value.cells[name]
            if name == "first":
                return value.first
            if name == "index":
                return value.index
        elif isinstance(value, TableValue):
            names = ("length",)
            if name == "length":
                return len(value.rows)
        elif isinstance(value, tuple):
            names = ("length",)
            if name == "length":
                return len(value)
        raise self._stop(
            "MN0309",
            f"{with_article(type_name(value))} has no `{name}`",
            attribute.name.span,
            frame,
            label=meant(name, names),
            help=f"it has {', '.join(names)}" if names else "",
        )

    def _index(self, index: ast.Index, frame: Frame) -> Value:
        value = self.evaluate(index.value, frame)
        position = self.evaluate(index.index, frame)
        if not isinstance(value, tuple) or type(position) is not int:
            raise self._stop(
                "MN0307", f"{describe(value)} cannot be indexed by {describe(position)}", index.span, frame
            )
        if not -len(value) <= position < len(value):
            raise self._stop(
                "MN0313", f"index {position} is outside a list of {len(value)} items", index.index.span, frame
            )
        return value[position]

    def _stop(
        self,
        code: str,
        message: str,
        span: Span,
        frame: Frame,
        label: str = "",
        also: tuple[Label, ...] = (),
        help: str | tuple[str, ...] = "",
    ) -> Reported:
        return self.report.stop(error(code, message, at=span, label=label, also=also, help=help))


def unknown_name(name: ast.Name, frame: Frame) -> Diagnostic:
    """MN0201 with the nearest name that exists, or what the name is good for where it is no value."""
    if name.text in OPERATIONS or name.text in FUNCTIONS or name.text in frame.scope.names:
        return error(
            "MN0201",
            f"`{name.text}` is no value",
            at=name.span,
            label="this can only be called",
            help=f"call it: {name.text}(…)",
        )
    return error(
        "MN0201",
        f"unknown name `{name.text}`",
        at=name.span,
        label=meant(name.text, [*frame.variables, *SYMBOLS], "not defined here"),
        help="text stands in quotes, true and false are written in small letters"
        if name.text in ("True", "False", "None")
        else "",
    )
