"""mnetdsl: a compiler for MobileNets. See `mnetdsl.api` for what can be called from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnetdsl.version import __version__

if TYPE_CHECKING:
    from mnetdsl.api import Network, check, load, zoo
    from mnetdsl.diagnostics import MnetError

__all__ = ["MnetError", "Network", "__version__", "check", "load", "zoo"]


def __getattr__(name: str) -> object:
    """Imports the API when it is first used: `import mnetdsl` alone stays cheap, as every command starts with it."""
    if name in ("Network", "check", "load", "zoo"):
        from mnetdsl import api

        return getattr(api, name)
    if name == "MnetError":
        from mnetdsl.diagnostics import MnetError

        return MnetError
    raise AttributeError(f"module 'mnetdsl' has no attribute {name!r}")
