"""Generated C for build systems: one row of `PACKAGES` and one folder of `codegen_templates/packages/` each.

A package holds the model's files in `model/` and what the templates of its folder make beside it. A template's path is
that of its file, `MODEL` in it stands for the model's name, and a template that comes out empty makes none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mnetdsl import resources
from mnetdsl.backends.c import CPackage
from mnetdsl.backends.qemu.board import board_files
from mnetdsl.backends.qemu.machines import MACHINES
from mnetdsl.diagnostics import ExitCode, MnetError, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.targets import OPTIMIZATION, Device


@dataclass(frozen=True)
class Packaging:
    """A way to pack a model: its folder of templates, and its line in messages."""

    folder: str
    help: str


PACKAGES: dict[str, Packaging] = {
    "cmake": Packaging("cmake", "CMake package with an example, which QEMU runs"),
}
"""By the name that `--package` takes."""


def check_package(name: str) -> Packaging:
    """Raises `MnetError` MN1106 for a name that is not in `PACKAGES`."""
    if name not in PACKAGES:
        suggestion = did_you_mean(name, list(PACKAGES))
        raise MnetError(
            error(
                "MN1106",
                f"there is no package `{name}`",
                help=(f"did you mean `{suggestion}`? " if suggestion else "")
                + "; ".join(f"`--package {known}`: {entry.help}" for known, entry in PACKAGES.items()),
            ),
            exit_code=ExitCode.USAGE,
        )
    return PACKAGES[name]


def pack(package: CPackage, name: str, device: Device | None) -> dict[str, bytes]:
    """Files of a model in the package `name`, by path; `device` is None for the machine at hand."""
    folder = resources.templates_folder() / "packages" / check_package(name).folder
    program = package.program
    machine = MACHINES.get(device.core.name) if device is not None else None
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    values = {
        "p": program,
        "m": program.name,
        "M": program.macro,
        "device": device,
        "machine": machine,
        "optimization": OPTIMIZATION,
    }
    files = {f"model/{file}": data for file, data in package.files.items()}
    for path in sorted(folder.rglob("*.jinja")):
        template = path.relative_to(folder).as_posix()
        text = _tidy(environment.get_template(template).render(**values))
        if text:
            files[_name(template, program.name)] = text.encode()
    if machine is not None:
        files |= {f"board/{file}": data for file, data in board_files(program, machine).items()}
    return dict(sorted(files.items()))


def _name(template: str, model: str) -> str:
    path = Path(template.removesuffix(".jinja"))
    return path.with_name(path.name.replace("MODEL", model)).as_posix()


def _tidy(text: str) -> str:
    """No line ends in blanks and the text in one line feed, unless it is empty."""
    body = "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))
    return f"{body}\n" if body else ""
