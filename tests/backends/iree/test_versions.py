"""One version of IREE: the pinned one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mnetdsl.backends.iree import versions
from mnetdsl.backends.iree.package import generate
from mnetdsl.backends.iree.versions import COMPILER, IREE_VERSION, RUNTIME, require_iree
from mnetdsl.diagnostics import MnetError
from tests.backends.iree.harness import small_module


def test_the_packages_are_pinned_to_the_version_that_is_required() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    dependencies = project["project"]["dependencies"]
    assert f"{COMPILER}=={IREE_VERSION}" in dependencies
    assert f"{RUNTIME}=={IREE_VERSION}" in dependencies


@pytest.mark.parametrize(("found", "code"), [("3.12.0", "MN1221"), (None, "MN1222")])
def test_another_version_and_a_missing_package_say_what_to_install(
    found: str | None, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "_installed", lambda package: found if package == RUNTIME else IREE_VERSION)
    require_iree(COMPILER)
    with pytest.raises(MnetError) as refused:
        require_iree(COMPILER, RUNTIME)
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == code
    assert RUNTIME in diagnostic.message
    assert f"{RUNTIME}=={IREE_VERSION}" in diagnostic.help[0]


def test_nothing_is_compiled_with_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_installed", lambda package: "4.0.0")
    with pytest.raises(MnetError, match="MN1221"):
        generate(small_module(), "net", "iree-cpu")
