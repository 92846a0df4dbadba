"""Something worth knowing about weights that are nevertheless accepted."""

from __future__ import annotations

from mnetdsl.diagnostics import Diagnostic


class WeightsWarning(UserWarning):
    """Carries a diagnostic of severity warning through Python's own channel, so that notebooks see it too."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(f"{diagnostic.code}: {diagnostic.message}")
        self.diagnostic = diagnostic
