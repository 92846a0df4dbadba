"""`deploy` sections: a model with its arguments, weights, quantization and target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from mnetdsl.diagnostics import Label, error
from mnetdsl.diagnostics.suggest import did_you_mean, meant
from mnetdsl.sema.expressions import Evaluator, Frame
from mnetdsl.sema.quantization import QuantizedTensor, read_quantization
from mnetdsl.sema.report import Report, Reported
from mnetdsl.sema.signatures import accepts
from mnetdsl.sema.values import Constant, FileScope, ModelValue, Value, as_constant, describe
from mnetdsl.syntax import ast
from mnetdsl.targets import NAMES, target_name


@dataclass(frozen=True)
class Rule:
    """A named rule with its numbers, such as `percentile(99.99)`."""

    name: str
    arguments: tuple[float, ...] = ()


SettingValue: TypeAlias = "Constant | Rule"

RANGE_RULES = {"auto": 0, "min_max": 0, "moving_average": 0, "percentile": 1, "mse": 0, "kl": 0}
"""Ways to find the range of a tensor -> number of arguments."""
LEAST_PERCENTILE = 50.0
LAYERS = "list of layers"
"""A type of settings beside those of parameters: a list of texts, each of which names a layer."""


@dataclass(frozen=True)
class SectionSpec:
    """What a section of a `deploy` may hold: setting -> accepted types."""

    argument: str
    settings: dict[str, tuple[str, ...]]


SECTIONS: dict[str, SectionSpec] = {
    "quantize": SectionSpec(
        "a type such as int8",
        {
            "calibrate": ("string",),
            "limit": ("int",),
            "ranges": ("rule",),
            "equalize": ("bool",),
            "bias_correction": ("bool",),
            "learned_rounding": ("bool",),
            "int16": (LAYERS,),
            "int16_worst": ("int",),
            "float": (LAYERS,),
        },
    ),
    "target": SectionSpec("a target's name, see `mnet targets`", {"flash": ("int",), "ram": ("int",)}),
}
SETTINGS: dict[str, tuple[str, ...]] = {"weights": ("string",)}
QUANTIZED_TYPES = ("int8",)


@dataclass(frozen=True)
class Section:
    """Checked settings of one section, by name."""

    argument: str
    settings: dict[str, SettingValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """A checked `deploy`. `weights` is relative to the `.mnet` file.

    `quantization` holds the rows of its table, None where it has none: the network is then in float32.
    """

    name: str
    model: ModelValue
    arguments: dict[str, Value]
    weights: str | None
    sections: dict[str, Section]
    quantization: tuple[QuantizedTensor, ...] | None = None

    @property
    def to_be_quantized(self) -> bool:
        """Whether it asks for integers and does not have them yet: a section `quantize` and no table."""
        return "quantize" in self.sections and self.quantization is None

    @property
    def target(self) -> str | None:
        """The target that a section names, as `mnet targets` spells it."""
        section = self.sections.get("target")
        return None if section is None else target_name(section.argument)

    def budget(self, name: str) -> int | None:
        """Bytes of `flash` or `ram` that the target section declares."""
        target = self.sections.get("target")
        value = None if target is None else target.settings.get(name)
        return value if isinstance(value, int) else None


def check_deployment(deploy: ast.Deploy, scope: FileScope, evaluator: Evaluator, report: Report) -> Deployment | None:
    """The deployment, or None where its model is unknown; everything wrong is reported."""
    frame = Frame(scope, kind="deploy")
    settings = _settings(deploy.settings, SETTINGS, f"deploy `{deploy.name.text}`", frame, evaluator, report)
    sections: dict[str, Section] = {}
    for section in deploy.sections:
        name = section.name.text
        spec = SECTIONS.get(name)
        if spec is None:
            report.add(
                error(
                    "MN0610",
                    f"a deploy has no section `{name}`",
                    at=section.name.span,
                    label=meant(name, list(SECTIONS), "unknown section"),
                    help=f"its sections: {', '.join(SECTIONS)}",
                )
            )
            continue
        if name in sections:
            report.add(error("MN0305", f"section `{name}` stands twice", at=section.name.span, label="again here"))
            continue
        argument = _argument(section, spec, report)
        found = _settings(section.settings, spec.settings, f"section `{name}`", frame, evaluator, report)
        sections[name] = Section(argument, found)
    quantization = read_quantization(deploy, report)
    model = scope.names.get(deploy.model.text)
    if not isinstance(model, ModelValue):
        models = [key for key, value in scope.names.items() if isinstance(value, ModelValue)]
        report.add(
            error(
                "MN0609",
                f"there is no model `{deploy.model.text}` to deploy",
                at=deploy.model.span,
                label=meant(deploy.model.text, models, "not defined in this file"),
                help=f"models here: {', '.join(models)}" if models else "define one, or `use zoo.mobilenet_v2 { … }`",
            )
        )
        return None
    weights = settings.get("weights")
    arguments = _arguments(deploy, frame, evaluator)
    chosen = weights if isinstance(weights, str) else None
    return Deployment(deploy.name.text, model, arguments, chosen, sections, quantization)


def _arguments(deploy: ast.Deploy, frame: Frame, evaluator: Evaluator) -> dict[str, Value]:
    arguments: dict[str, Value] = {}
    for argument in deploy.arguments:
        try:
            value = evaluator.evaluate(argument.value, frame)
        except Reported:
            continue
        if argument.name is None:
            evaluator.report.add(
                error(
                    "MN0302",
                    "a deploy names the parameters of its model",
                    at=argument.span,
                    label="which parameter is this?",
                    help=f"write it as `alpha = {argument.span.text}`",
                )
            )
            continue
        arguments[argument.name.text] = value
    return arguments


def _argument(section: ast.Section, spec: SectionSpec, report: Report) -> str:
    if section.argument is None:
        report.add(
            error(
                "MN0610",
                f"section `{section.name.text}` needs {spec.argument}",
                at=section.name.span,
                label="write it behind this word",
            )
        )
        return ""
    name = section.argument.text
    if section.name.text == "quantize" and name not in QUANTIZED_TYPES:
        report.add(
            error(
                "MN0610",
                f"cannot quantize to `{name}`",
                at=section.argument.span,
                help='the type is int8; layers that need more are named: `int16 = ["stem.conv"]`, or `float = […]`',
            )
        )
    if section.name.text == "target" and target_name(name) is None:
        known = [target.replace("-", "_").replace(":", "_") for target in NAMES]
        report.add(
            error(
                "MN0610",
                f"there is no target `{name}`",
                at=section.argument.span,
                label=meant(name, known),
                help="`mnet targets` lists them; a hyphen is written as underscore here, such as cortex_m4",
            )
        )
    return name


def _settings(
    settings: tuple[ast.Setting, ...],
    known: dict[str, tuple[str, ...]],
    where: str,
    frame: Frame,
    evaluator: Evaluator,
    report: Report,
) -> dict[str, SettingValue]:
    found: dict[str, SettingValue] = {}
    first: dict[str, ast.Setting] = {}
    for setting in settings:
        name = setting.name.text
        if name not in known:
            report.add(
                error(
                    "MN0604",
                    f"{where} has no setting `{name}`",
                    at=setting.name.span,
                    label=meant(name, list(known), "unknown setting"),
                    help=f"its settings: {', '.join(known)}",
                )
            )
            continue
        if name in first:
            report.add(
                error(
                    "MN0305",
                    f"`{name}` is set twice",
                    at=setting.span,
                    label="set again here",
                    also=(Label(first[name].span, "first set here"),),
                )
            )
            continue
        first[name] = setting
        try:
            if known[name] == ("rule",):
                found[name] = _rule(setting.value, frame, evaluator)
            else:
                found[name] = _constant(setting, known[name], frame, evaluator)
        except Reported:
            continue
    return found


def _constant(setting: ast.Setting, types: tuple[str, ...], frame: Frame, evaluator: Evaluator) -> Constant:
    value = evaluator.evaluate(setting.value, frame)
    constant = as_constant(value)
    if types == (LAYERS,):
        return _layers(setting, constant, value, evaluator.report)
    if constant is None or not accepts(types, value):
        raise evaluator.report.stop(
            error(
                "MN0301",
                f"`{setting.name.text}` must be {' or '.join(types)}, got {describe(value)}",
                at=setting.value.span,
            )
        )
    if type(constant) is int and constant < 1:
        raise evaluator.report.stop(
            error("MN0310", f"`{setting.name.text}` must be at least 1, got {constant}", at=setting.value.span)
        )
    return constant


def _layers(setting: ast.Setting, constant: Constant | None, value: Value, report: Report) -> Constant:
    if isinstance(constant, tuple) and all(isinstance(item, str) for item in constant):
        return constant
    raise report.stop(
        error(
            "MN0301",
            f"`{setting.name.text}` must be a list of layers' names, got {describe(value)}",
            at=setting.value.span,
            help=f'write `{setting.name.text} = ["stem", "body.0.expand"]`, with names as `mnet summary` shows them',
        )
    )


def _rule(expression: ast.Expr, frame: Frame, evaluator: Evaluator) -> Rule:
    """`min_max`, `percentile(99.99)` and the like."""
    callee = expression.callee if isinstance(expression, ast.Call) else expression
    name = callee.text if isinstance(callee, ast.Name) else callee.span.text
    count = RANGE_RULES.get(name)
    arguments = expression.arguments if isinstance(expression, ast.Call) else ()
    values = [evaluator.evaluate(argument.value, frame) for argument in arguments]
    numbers = tuple(float(value) for value in values if isinstance(value, int | float))
    if count is None or len(numbers) != len(values) or len(numbers) != count:
        suggestion = did_you_mean(name, list(RANGE_RULES))
        usage = ", ".join(f"{rule}(…)" if number else rule for rule, number in RANGE_RULES.items())
        raise evaluator.report.stop(
            error(
                "MN0604",
                f"`{name}` is no way to find a range" if count is None else f"`{name}` {_wanted(count)}",
                at=callee.span,
                label=f"did you mean `{suggestion}`?" if suggestion and count is None else "",
                help=f"there are {usage}",
            )
        )
    if name == "percentile" and not LEAST_PERCENTILE < numbers[0] <= 100.0:
        raise evaluator.report.stop(
            error(
                "MN0310",
                f"`percentile` keeps more than {LEAST_PERCENTILE:g} and at most 100 per cent, got {numbers[0]:g}",
                at=expression.span,
                help="99.99 leaves out one value in ten thousand",
            )
        )
    return Rule(name, numbers)


def _wanted(count: int) -> str:
    return "needs a number, such as 99.99" if count else "takes no numbers"
