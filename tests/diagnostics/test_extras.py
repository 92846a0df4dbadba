"""What messages tell people to install is what `pyproject.toml` says."""

from __future__ import annotations

import re
import tomllib

from mnetdsl.diagnostics.extras import EXTRAS, install
from tests.cli.process import ROOT


def test_extras_have_the_packages_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    declared = {name: {re.split("[<>=]", line)[0] for line in lines} for name, lines in project.items()}
    assert {name: set(packages) for name, packages in EXTRAS.items()} == {name: declared[name] for name in EXTRAS}
    assert set(declared) - set(EXTRAS) == {"test"}


def test_packages_come_first_as_mnetdsl_is_in_no_index() -> None:
    assert install("tflite") == (
        "install it: `pip install ai-edge-litert flatbuffers`",
        "or, in the folder of mnetdsl, as its extra: `pip install '.[tflite]'`",
    )
