"""Finds the data that ships with the compiler, in a checkout or in an installed wheel.

`grammars/`, `codegen_templates/` and `examples/` stand beside the package in a checkout; the wheel carries them in
`mnetdsl/_data/`. The standard blocks, `mnetdsl/std/`, are part of the package in both.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _data_folder(name: str) -> Path:
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def grammar_text(name: str) -> str:
    """Text of a file of `grammars/`, such as `mnet.lark`."""
    return (_data_folder("grammars") / name).read_text(encoding="utf-8")


def templates_folder() -> Path:
    """`codegen_templates/`: the jinja2 templates of the C backend."""
    return _data_folder("codegen_templates")


def examples_folder() -> Path:
    """`examples/`: trained models and firmware projects."""
    return _data_folder("examples")


def zoo_folder() -> Path:
    """`examples/zoo/`: the networks that `mnet new --from NAME` copies and that every command finds by name."""
    return examples_folder() / "zoo"


def std_folder() -> Path:
    """`mnetdsl/std/`: the blocks behind `use std.NAME { … }`."""
    return _PACKAGE / "std"
