"""A checked file: which models and deployments it offers, and the IR of one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mnetdsl.diagnostics import Diagnostic, Label, MnetError, error
from mnetdsl.diagnostics.suggest import meant
from mnetdsl.ir.builder import Builder
from mnetdsl.ir.core import Module
from mnetdsl.sema.deployment import Deployment, check_deployment
from mnetdsl.sema.expand import Expander
from mnetdsl.sema.layers import Layers
from mnetdsl.sema.modules import Modules
from mnetdsl.sema.names import check_names
from mnetdsl.sema.report import Report, Reported
from mnetdsl.sema.signatures import accepts, coerce
from mnetdsl.sema.unread import unread_layers
from mnetdsl.sema.values import FileScope, ModelValue, Value, describe
from mnetdsl.source import SourceFile
from mnetdsl.syntax import ast
from mnetdsl.syntax.parser import parse_with_errors


@dataclass(frozen=True)
class Instance:
    """One model with all parameters fixed. `deployment` is the section that asked for it, if one did."""

    module: Module
    model: ast.Model
    parameters: dict[str, Value]
    deployment: Deployment | None


def build(source: SourceFile, name: str | None = None, overrides: Mapping[str, Value] | None = None) -> Instance:
    """The IR of the model or deployment `name` (default: the only deployment, else the only model).

    `overrides` sets parameters of the model above what its deployment says. Raises `MnetError` with everything
    that is wrong in the file.
    """
    report = Report()
    file, scope, parsed = _read(source, report)
    if not parsed:
        report.raise_if_any()
    deployments = _deployments(file, scope, report)
    model, deployment = _select(file, scope, deployments, name, report)
    module = Module(model.model.name.text if deployment is None else deployment.name)
    expander = Expander(Layers(Builder(module.graph), report, module.derived), report)
    given = {} if deployment is None else dict(deployment.arguments)
    try:
        parameters = _parameters(model, given | dict(overrides or {}), expander, report)
        expander.model(model, parameters)
    except Reported:
        parameters = {}
    report.raise_if_any()
    return Instance(module, model.model, parameters, deployment)


def _read(source: SourceFile, report: Report) -> tuple[ast.MnetFile, FileScope, bool]:
    """A file, its names, and whether all of it could be parsed."""
    file, problems = parse_with_errors(source)
    report.extend(problems)
    scope = Modules(report).scope(file)
    check_names(scope, report, problems)
    return file, scope, not problems


def check(source: SourceFile, overrides: Mapping[str, Value] | None = None) -> tuple[Diagnostic, ...]:
    """All that is wrong in a file. Every model whose parameters have values is expanded; a file of blocks is fine.

    Warnings are given where there are no errors.
    """
    report = Report()
    file, scope, parsed = _read(source, report)
    if not parsed:
        return report.sorted()
    deployments = _deployments(file, scope, report)
    targets: list[tuple[ModelValue, dict[str, Value]]] = [(d.model, d.arguments) for d in deployments.values()]
    warnings: list[Diagnostic] = []
    deployed = {id(model.model) for model, _ in targets}
    for item in file.items:
        value = scope.names.get(item.name.text) if isinstance(item, ast.Model) else None
        if isinstance(value, ModelValue) and value.model is item and id(item) not in deployed:
            targets.append((value, {}))
    for model, arguments in targets:
        expander = Expander(Layers(Builder(Module("check").graph), report), report)
        try:
            expander.model(model, _parameters(model, {**arguments, **(overrides or {})}, expander, report))
        except Reported:
            continue
        warnings.extend(unread_layers(expander.layers))
    if not report.diagnostics:
        report.extend(warnings)
    return report.sorted()


def deployments(source: SourceFile) -> tuple[str, ...]:
    """Names of the deployments of a file that `check` accepts."""
    file, _ = parse_with_errors(source)
    return tuple(item.name.text for item in file.items if isinstance(item, ast.Deploy))


def _deployments(file: ast.MnetFile, scope: FileScope, report: Report) -> dict[str, Deployment]:
    found: dict[str, Deployment] = {}
    first: dict[str, ast.Deploy] = {}
    expander = Expander(Layers(Builder(Module("deploy").graph), report), report)
    for item in file.items:
        if not isinstance(item, ast.Deploy):
            continue
        name = item.name.text
        if name in first:
            report.add(
                error(
                    "MN0202",
                    f"there are two deployments `{name}`",
                    at=item.name.span,
                    label="again here",
                    also=(Label(first[name].name.span, "first here"),),
                )
            )
            continue
        first[name] = item
        deployment = check_deployment(item, scope, expander.evaluator, report)
        if deployment is not None:
            found[name] = deployment
    return found


def _select(
    file: ast.MnetFile, scope: FileScope, deployments: dict[str, Deployment], name: str | None, report: Report
) -> tuple[ModelValue, Deployment | None]:
    own = {item.name.text for item in file.items if isinstance(item, ast.Model)}
    models = {key: value for key, value in scope.names.items() if isinstance(value, ModelValue) and key in own}
    if name is not None:
        if name in deployments:
            return deployments[name].model, deployments[name]
        if name in models:
            return models[name], None
        report.raise_if_any()
        there = [*deployments, *models]
        raise MnetError(
            error(
                "MN0612",
                f"`{file.source.path}` has no model or deployment `{name}`",
                help=meant(name, there, f"it has {', '.join(there) or 'none'}"),
            )
        )
    if len(deployments) == 1:
        (deployment,) = deployments.values()
        return deployment.model, deployment
    if len(models) == 1 and not deployments:
        (model,) = models.values()
        return model, None
    report.raise_if_any()
    if not models and not deployments:
        raise MnetError(
            error(
                "MN0611",
                f"`{file.source.path}` defines no model",
                help="a network begins with `model name(alpha: float = 1.0) { … }`",
                location=file.source.path,
            )
        )
    choices = ", ".join([*deployments, *models])
    raise MnetError(
        error(
            "MN0612",
            f"`{file.source.path}` has several networks: {choices}",
            help="choose one with `--model NAME`",
            location=file.source.path,
        )
    )


def _parameters(model: ModelValue, given: Mapping[str, Value], expander: Expander, report: Report) -> dict[str, Value]:
    """Values of all parameters of a model: what is given, else the default."""
    declared = expander.parameters(model.model, model.home)
    names = [parameter.name for parameter in declared]
    values: dict[str, Value] = {}
    for name in given:
        if name not in names:
            report.add(
                error(
                    "MN0315",
                    f"model `{model.model.name.text}` has no parameter `{name}`",
                    at=model.model.name.span,
                    label=meant(name, names, "this model"),
                    help=f"its parameters: {', '.join(names)}" if names else "it has no parameters",
                )
            )
    for parameter in declared:
        value = given.get(parameter.name, parameter.default)
        if value is None:
            report.add(
                error(
                    "MN0315",
                    f"parameter `{parameter.name}` of model `{model.model.name.text}` has no value",
                    at=parameter.span,
                    label="no default",
                    help=f"give it with `--set {parameter.name}=…` or a default here",
                )
            )
        elif not accepts(parameter.types, value):
            report.add(
                error(
                    "MN0301",
                    f"`{parameter.name}` of model `{model.model.name.text}` must be "
                    f"{' or '.join(parameter.types)}, got {describe(value)}",
                    at=parameter.span,
                    label="declared here",
                )
            )
        else:
            values[parameter.name] = coerce(parameter.types, value)
    if len(values) != len(declared):
        raise Reported
    return values
