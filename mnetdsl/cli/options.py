"""Arguments and options that several commands share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from mnetdsl.api import Network
    from mnetdsl.sema.values import Constant

F = TypeVar("F", bound=Callable[..., Any])

MADE_UP = "`--weights random:1` to try shapes and speed"
_SIZE_UNITS = {"K": 1024, "M": 1024 * 1024}
_INT = re.compile(r"([+-]?\d+)([KM]?)")
_FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")
_WORD = re.compile(r"[A-Za-z_]\w*")
_WORDS_INSIDE = ("as", "in", "of", "mnet", "and", "or", "not", "true", "false")


def place(text: str) -> str:
    """The type of a path. Where it is empty, as `-o "$OUT"` is of a variable that is not set, files would else be
    written into the folder at hand."""
    if not text:
        raise click.BadParameter("it is empty; is a variable of the shell not set?")
    return text


def parse_assignments(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, Constant]:
    """`name=value` each, the value written as in the language; quotes around a text may be left out."""
    parameters: dict[str, Constant] = {}
    for value in values:
        name, separator, text = (part.strip() for part in value.partition("="))
        if not separator or not _WORD.fullmatch(name):
            raise click.BadParameter(f"{value!r} is not of the form name=value, for instance alpha=0.5")
        if not text:
            raise click.BadParameter(f"{name}= needs a value, for instance {name}=0.5")
        if name in parameters:
            raise click.BadParameter(f"{name} is set twice")
        parameters[name] = parse_value(text)
    return parameters


def parse_value(text: str) -> Constant:
    """A literal of the language: `3`, `64K`, `0.5`, `true`, `"text"`, `[1, 2]`, `relu6`; anything else is a text."""
    from mnetdsl.sema.expressions import SYMBOLS

    if match := _INT.fullmatch(text):
        return int(match[1]) * _SIZE_UNITS.get(match[2], 1)
    if _FLOAT.fullmatch(text):
        return float(text)
    if text in ("true", "false"):
        return text == "true"
    if text[0] == "[" and text[-1] == "]":
        inside = text[1:-1].strip()
        return tuple(parse_value(item.strip()) for item in inside.split(",") if item.strip()) if inside else ()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    return SYMBOLS.get(text, text)


def parse_size(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """Bytes as people write them: `65536`, `64K`, `1M`."""
    if value is None:
        return None
    match = _INT.fullmatch(value.upper())
    if match is None or int(match[1]) < 1:
        raise click.BadParameter(f"{value!r} is no size; write bytes, or for instance 64K or 1M")
    return int(match[1]) * _SIZE_UNITS.get(match[2], 1)


def is_name(text: str) -> bool:
    """Whether a network can be called so: a word of letters, digits and _ that is none of the language's own."""
    from mnetdsl.syntax.mistakes import KEYWORDS

    return _WORD.fullmatch(text) is not None and text.isascii() and text not in (*KEYWORDS, *_WORDS_INSIDE)


def parse_numbers(context: click.Context, option: click.Parameter, value: str | None) -> tuple[float, ...]:
    """`127.5` or `123.7,116.3,103.5`; empty where the option is not given."""
    if value is None:
        return ()
    try:
        numbers = tuple(float(part) for part in value.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise click.BadParameter(f"{value!r} is no number; write 127.5, or one for each channel: 123.7,116.3,103.5")
    if option.name == "std" and min(numbers) <= 0:
        raise click.BadParameter(f"{value!r}: what pixels are divided by must be above 0")
    return numbers


def file_argument(function: F) -> F:
    """FILE: a `.mnet` file, a folder that holds one, or a network of the zoo."""
    return click.argument("file", metavar="FILE", type=place)(function)


def network_options(function: F) -> F:
    """FILE with `--set` and `--model`: what it takes to build a network, see `load_network`."""
    function = click.option(
        "--model",
        metavar="NAME",
        help="The model or deployment to take, where FILE has several.",
    )(function)
    function = click.option(
        "--set",
        "parameters",
        callback=parse_assignments,
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a parameter of the model, such as alpha=0.5. May be repeated.",
    )(function)
    return file_argument(function)


def weights_option(function: F) -> F:
    return click.option(
        "--weights",
        type=place,
        metavar="FILE",
        help="A .safetensors or .npz file, or random:SEED. Default: what the deployment names.",
    )(function)


def resize_option(default: str) -> Callable[[F], F]:
    """`--resize`, a value of `images.Resize`; `default` is what the command does with images of another size."""
    return click.option(
        "--resize",
        type=click.Choice(["none", "crop", "pad", "stretch"]),
        default=default,
        show_default=True,
        help="What to do with images of another size; none refuses them.",
    )


def central_option(function: F) -> F:
    return click.option(
        "--central",
        type=click.FloatRange(0.0, 1.0, min_open=True),
        metavar="NUMBER",
        default=0.875,
        show_default=True,
        help="The middle share of both sides that is kept of images of another size, before they are resized.",
    )(function)


def channels_option(function: F) -> F:
    return click.option(
        "--fold-constant-channels",
        "fold",
        is_flag=True,
        help="Drop channels of int8 layers that hold one number for every input. Outputs keep their bits.",
    )(function)


def json_option(function: F) -> F:
    return click.option(
        "--format",
        "layout",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="json is for scripts.",
    )(function)


def load_network(file: str, parameters: Mapping[str, Constant], model: str | None) -> Network:
    """The network behind FILE, `--set` and `--model`. Raises `MnetError` with all that is wrong in it."""
    from mnetdsl.api import load

    if "model" in parameters:
        raise click.UsageError("a parameter cannot be called `model`. Did you mean `--model`?")
    return load(file, model=model, **parameters)


def load_with_weights(
    file: str, parameters: Mapping[str, Constant], model: str | None, weights: str | None, *, trained: bool = False
) -> Network:
    """As `load_network`, with weights; their absence is an error that says how to give them.

    trained: what the command finds out means something with such weights alone, so that made-up ones are not offered.
    """
    from mnetdsl.diagnostics import MnetError, error

    network = load_network(file, parameters, model)
    if weights is None and network.weights_path is None:
        raise MnetError(
            error(
                "MN0701",
                f"`{network.name}` has no weights",
                location=file,
                help=(
                    "give them: `--weights net.safetensors`" + ("" if trained else f", or {MADE_UP}"),
                    'or name them in the file: `deploy … of … { weights = "net.safetensors" }`',
                ),
            )
        )
    try:
        return network.with_weights(weights)
    except MnetError as problem:
        if trained:
            raise
        told = (
            replace(each, help=(*each.help, f"or {MADE_UP}")) if each.code == "MN0901" else each
            for each in problem.diagnostics
        )
        raise MnetError(*told, exit_code=problem.exit_code) from None
