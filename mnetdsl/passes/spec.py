"""Lists of passes as text: `canonicalize,fold-constants{max-elements=4096}`."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import get_type_hints

from mnetdsl.diagnostics import Diagnostic, ExitCode, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean, meant
from mnetdsl.passes.base import OptionValue, Pass
from mnetdsl.passes.pipelines import PIPELINES
from mnetdsl.passes.registry import PASSES

_ITEM = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)\s*(?:\{([^{}]*)\})?\s*(,|\Z)")


def parse_passes(text: str) -> tuple[Pass, ...]:
    """The passes that `text` lists, pipelines expanded in place.

    Raises `MnetError`: MN1011 for an unknown pass, MN1012 for a malformed list or option.
    """
    passes: list[Pass] = []
    offset, end = 0, ","
    while end == ",":
        match = _ITEM.match(text, offset)
        if match is None:
            raise _malformed(text, offset)
        name, options, end = match[1], match[2], match[3]
        passes.extend(_named(name, options))
        offset = match.end()
    return tuple(passes)


def _named(name: str, options: str | None) -> tuple[Pass, ...]:
    if name in PIPELINES:
        if options is not None:
            raise _refused(error("MN1012", f"the pipeline `{name}` takes no options", location=name))
        return PIPELINES[name]
    kind = PASSES.get(name)
    if kind is None:
        suggestion = did_you_mean(name, [*PASSES, *PIPELINES])
        raise _refused(
            error(
                "MN1011",
                f"there is no pass `{name}`",
                help=(
                    *([f"did you mean `{suggestion}`?"] if suggestion else []),
                    f"passes: {', '.join(PASSES)}; pipelines: {', '.join(PIPELINES)}",
                ),
            )
        )
    return (kind(**_options(kind, options or "")),)


def _options(kind: type[Pass], text: str) -> dict[str, OptionValue]:
    types = get_type_hints(kind)
    known = {field.name.replace("_", "-"): types[field.name] for field in fields(kind)}
    options: dict[str, OptionValue] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not value:
            raise _refused(error("MN1012", f"`{item}` is no option: an option is `name=value`", location=kind.name))
        if key not in known:
            raise _refused(
                error(
                    "MN1012",
                    f"the pass `{kind.name}` has no option `{key}`",
                    help=meant(key, known, _known(known)),
                    location=kind.name,
                )
            )
        options[key.replace("-", "_")] = _value(kind, key, known[key], value)
    return options


def _known(known: dict[str, type]) -> str:
    return f"its options: {', '.join(known)}" if known else "it has none"


def _value(kind: type[Pass], key: str, type: type, text: str) -> OptionValue:
    if type is bool:
        if text in ("true", "false"):
            return text == "true"
    elif type is str:
        return text
    elif len(text) <= 32:
        try:
            return int(text) if type is int else float(text)
        except ValueError:
            pass
    names = {int: "an integer", float: "a number", bool: "true or false"}
    raise _refused(
        error("MN1012", f"the option `{key}` of `{kind.name}` must be {names[type]}, got `{text}`", location=kind.name)
    )


def _malformed(text: str, offset: int) -> MnetError:
    rest = text[offset:].strip()
    return _refused(
        error(
            "MN1012",
            f"cannot read the list of passes at `{rest[:40]}`"
            if rest
            else "the list of passes ends in a comma or is empty",
            help="passes stand between commas, options in braces: `canonicalize,fold-constants{max-elements=4096}`",
        )
    )


def _refused(problem: Diagnostic) -> MnetError:
    """The list of passes is written on the command line."""
    return MnetError(problem, exit_code=ExitCode.USAGE)
