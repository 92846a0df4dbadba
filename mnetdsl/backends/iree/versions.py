"""The one version of IREE that modules are compiled and run with: compiler and runtime share a bytecode format."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from mnetdsl.diagnostics import MnetError, error

IREE_VERSION = "3.13.0"
COMPILER = "iree-base-compiler"
RUNTIME = "iree-base-runtime"
INSTALL = f"pip install {COMPILER}=={IREE_VERSION} {RUNTIME}=={IREE_VERSION}"


def require_iree(*packages: str) -> None:
    """Raises `MnetError` where one of IREE's packages is missing (MN1222) or of another version (MN1221)."""
    for package in packages:
        found = _installed(package)
        if found is None:
            raise MnetError(error("MN1222", f"`{package}` is not installed", help=f"install it: `{INSTALL}`"))
        if found != IREE_VERSION:
            raise MnetError(
                error(
                    "MN1221",
                    f"`{package}` is {found}, but modules are made for and run by IREE {IREE_VERSION}",
                    help=f"install the pinned versions: `{INSTALL}`",
                )
            )


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
