"""Parameters of operations and blocks, and how call arguments are bound to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnetdsl.diagnostics import Label, error
from mnetdsl.diagnostics.suggest import meant
from mnetdsl.sema.report import Report
from mnetdsl.sema.values import Activation, Poison, Symbol, Tensor, Value, describe, literal, type_name, with_article
from mnetdsl.source import Span

PARAMETER_TYPES = ("tensor", "int", "float", "bool", "string", "list", "activation", "symbol")


@dataclass(frozen=True)
class Parameter:
    """One parameter. `types` are names of `PARAMETER_TYPES`, any of which is accepted; `default` None: required."""

    name: str
    types: tuple[str, ...]
    default: Value | None = None
    span: Span | None = None


@dataclass(frozen=True)
class BoundArgument:
    """An evaluated argument with the place it was written at (the call's, where a default was taken)."""

    value: Value
    span: Span


@dataclass(frozen=True)
class GivenArgument:
    """An evaluated call argument."""

    name: str | None
    name_span: Span | None
    value: Value
    span: Span


def accepts(types: Sequence[str], value: Value) -> bool:
    name = type_name(value)
    if name == "int" and "float" in types:
        return True
    return name in types or isinstance(value, Poison)


def coerce(types: Sequence[str], value: Value) -> Value:
    """An int given for a float becomes one."""
    if type(value) is int and "float" in types and "int" not in types:
        return float(value)
    return value


def type_problem_help(types: Sequence[str], value: Value) -> str:
    """What to type instead, where that is known."""
    if isinstance(value, float) and "int" in types:
        return "convert it with `int(…)`, `round(…)` or, for a number of channels, `round8(…)`"
    if isinstance(value, Symbol) and "activation" in types:
        return "an activation is the name of a unary operation, such as relu6 or hard_swish, or none"
    if isinstance(value, Tensor) and "int" in types:
        return "a tensor's sizes are `x.height`, `x.width` and `x.channels`"
    if isinstance(value, str) and ("symbol" in types or "activation" in types):
        return f"leave out the quotes: {value}"
    if isinstance(value, Activation) and "tensor" in types:
        return f"call it: {value.text}(x)"
    return ""


def bind(
    report: Report,
    callee: str,
    kind: str,
    parameters: Sequence[Parameter],
    arguments: Sequence[GivenArgument],
    call_span: Span,
    definition: Span | None = None,
) -> dict[str, BoundArgument]:
    """Arguments by parameter name, defaults filled in, types checked; reports all that is wrong with the call."""
    also = () if definition is None else (Label(definition, f"`{callee}` is defined here"),)
    usage = f"{callee}({', '.join(_parameter_usage(p) for p in parameters)})"
    names = [parameter.name for parameter in parameters]
    bound: dict[str, BoundArgument] = {}
    count = len(report.diagnostics)
    positional = [argument for argument in arguments if argument.name is None]
    if len(positional) > len(parameters):
        report.add(
            error(
                "MN0304",
                f"{kind} `{callee}` takes at most {len(parameters)} arguments, {len(positional)} are given",
                at=positional[len(parameters)].span,
                label="this one is too many",
                also=also,
                help=f"its parameters: {usage}",
            )
        )
    for parameter, argument in zip(parameters, positional, strict=False):
        bound[parameter.name] = BoundArgument(argument.value, argument.span)
    for argument in arguments:
        if argument.name is None or argument.name_span is None:
            continue
        if argument.name not in names:
            report.add(
                error(
                    "MN0303",
                    f"{kind} `{callee}` has no parameter `{argument.name}`",
                    at=argument.name_span,
                    label=meant(argument.name, names, "unknown parameter"),
                    also=also,
                    help=f"its parameters: {usage}",
                )
            )
        elif argument.name in bound:
            report.add(
                error(
                    "MN0305",
                    f"parameter `{argument.name}` of `{callee}` is given twice",
                    at=argument.span,
                    label="given again here",
                    also=(Label(bound[argument.name].span, "first given here"),),
                )
            )
        else:
            bound[argument.name] = BoundArgument(argument.value, argument.span)
    for parameter in parameters:
        given = bound.get(parameter.name)
        if given is not None:
            _check_type(report, callee, parameter, given)
            bound[parameter.name] = BoundArgument(coerce(parameter.types, given.value), given.span)
        elif parameter.default is not None:
            bound[parameter.name] = BoundArgument(parameter.default, call_span)
        elif len(report.diagnostics) == count:
            report.add(
                error(
                    "MN0302",
                    f"{kind} `{callee}` needs `{parameter.name}` ({' or '.join(parameter.types)})",
                    at=call_span,
                    label=f"`{parameter.name}` is not given",
                    also=also,
                    help=f"its parameters: {usage}",
                )
            )
    return bound


def _parameter_usage(parameter: Parameter) -> str:
    return parameter.name if parameter.default is None else f"{parameter.name} = {literal(parameter.default)}"


def _check_type(report: Report, callee: str, parameter: Parameter, given: BoundArgument) -> None:
    if accepts(parameter.types, given.value):
        return
    report.add(
        error(
            "MN0301",
            f"`{parameter.name}` of `{callee}` must be {' or '.join(parameter.types)}, got {describe(given.value)}",
            at=given.span,
            label=f"this is {with_article(type_name(given.value))}",
            also=() if parameter.span is None else (Label(parameter.span, "declared here"),),
            help=type_problem_help(parameter.types, given.value),
        )
    )
