"""What a pass is: valid IR in, valid IR out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from mnetdsl.ir.core import Module
from mnetdsl.passes.context import Context

OptionValue = int | float | bool | str


@dataclass(frozen=True)
class Pass:
    """Base of all passes. Fields are options, settable as `-p "name{option=value}"`.

    The docstring of a pass states the mathematics first, then what holds before and after.
    """

    name: ClassVar[str]
    needs_weights: ClassVar[bool] = False
    """Whether the pass does nothing without loaded weights: what it does depends on their numbers."""

    def run(self, module: Module, context: Context) -> None:
        """Rewrites `module.graph` in place. Needs no loaded weights: see `passes.derive`."""
        raise NotImplementedError

    def __str__(self) -> str:
        """As in a list of passes, with the options that differ from their defaults."""
        options = [
            f"{field.name.replace('_', '-')}={_option_text(getattr(self, field.name))}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return f"{self.name}{{{','.join(options)}}}" if options else self.name


def _option_text(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
