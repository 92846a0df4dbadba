"""Runs passes over a module, verified between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.clone import clone
from mnetdsl.ir.core import Module
from mnetdsl.ir.printer import print_module
from mnetdsl.ir.verifier import Stage, verify
from mnetdsl.passes.base import Pass
from mnetdsl.passes.context import Context, Timing
from mnetdsl.passes.derive import materialize

AfterPass = Callable[[Pass, Module], None]


class PassError(Exception):
    """A pass failed or broke a rule of the IR: a bug of ours.

    `before` is the IR text that the pass was given, `command` what runs it again on that text.
    """

    def __init__(self, failed: Pass, before: str, cause: Exception) -> None:
        self.before = before
        self.command = f'mnet opt before.mlir -p "{failed}"'
        super().__init__(f"pass `{failed.name}` failed: {type(cause).__name__}: {cause}")


def run_passes(
    module: Module,
    passes: Sequence[Pass],
    context: Context | None = None,
    *,
    stage: Stage = Stage.BUILT,
    after: AfterPass | None = None,
) -> None:
    """Runs `passes` on `module` in place, in order, then computes the derived arrays whose sources are loaded.

    The module is verified before the first and after every pass, and by the rules of `stage` at the end. `after` is
    called behind each pass. Raises `VerificationError` for a module that is wrong to begin with, `PassError` for a
    pass that fails, `MnetError` (MN1013) for derived arrays that cannot be computed.
    """
    context = Context() if context is None else context
    verify(module)
    original = clone(module)
    for number, current in enumerate(passes):
        start = time.perf_counter()
        try:
            current.run(module, context)
            context.timings.append(Timing(current.name, time.perf_counter() - start))
            verify(module)
        except MnetError:
            raise
        except Exception as cause:  # Whatever went wrong, the text before the pass is what reproduces it.
            raise PassError(current, _text_behind(original, passes[:number]), cause) from cause
        if after is not None:
            after(current, module)
    verify(module, stage)
    materialize(module)


def _text_behind(module: Module, passes: Sequence[Pass]) -> str:
    """IR text of `module` behind passes that are known to succeed. Printing before each pass would cost every run."""
    for item in passes:
        item.run(module, Context())
    return print_module(module)
