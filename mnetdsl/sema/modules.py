"""Finds what `use` names: files of the user, the standard blocks, the zoo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from mnetdsl import resources
from mnetdsl.diagnostics import Label, error
from mnetdsl.diagnostics.suggest import did_you_mean, meant
from mnetdsl.sema.expressions import SYMBOLS
from mnetdsl.sema.functions import FUNCTIONS
from mnetdsl.sema.operations import OPERATIONS
from mnetdsl.sema.report import Report
from mnetdsl.sema.values import BlockValue, FileScope, ModelValue
from mnetdsl.source import SourceFile, Span
from mnetdsl.syntax import ast
from mnetdsl.syntax.parser import parse_with_errors
from mnetdsl.syntax.reader import is_file, is_folder, read_source

LIBRARIES: dict[str, Callable[[], Path]] = {"std": resources.std_folder, "zoo": resources.zoo_folder}
"""First word of a dotted `use` path -> folder of its files."""
MAX_FILES = 100
RESERVED = {*OPERATIONS, *FUNCTIONS, *SYMBOLS, "range"}


class Modules:
    """Scopes of all files of one compilation, each parsed once."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._scopes: dict[Path, FileScope] = {}
        self._loading: list[Path] = []

    def scope(self, file: ast.MnetFile, is_library: bool = False) -> FileScope:
        """Top-level names of a parsed file, those it uses from others included."""
        scope = FileScope(file, is_library, {}, {})
        for item in file.items:
            if isinstance(item, ast.Use):
                self._use(item, scope)
            elif isinstance(item, ast.Block | ast.Model):
                self._define(item, scope)
        return scope

    def _define(self, item: ast.Block | ast.Model, scope: FileScope) -> None:
        value = BlockValue(item, scope) if isinstance(item, ast.Block) else ModelValue(item, scope)
        self._bind(item.name.text, item.name.span, value, scope)

    def _bind(self, name: str, span: Span, value: BlockValue | ModelValue, scope: FileScope) -> None:
        first = scope.definitions.get(name)
        if first is not None:
            self.report.add(
                error(
                    "MN0202",
                    f"`{name}` is defined twice",
                    at=span,
                    label="defined again here",
                    also=(Label(first, "first defined here"),),
                    help="rename one of them; a used name can be changed: `use std.blocks { conv_bn as my_name }`",
                )
            )
            return
        if name in RESERVED:
            self.report.add(
                error(
                    "MN0209",
                    f"`{name}` already has a meaning in the language",
                    at=span,
                    label="this name is taken",
                    help=f"call it for instance `my_{name}`",
                )
            )
            return
        scope.names[name] = value
        scope.definitions[name] = span

    def _use(self, use: ast.Use, scope: FileScope) -> None:
        used = self._load(use, scope)
        if used is None:
            return
        for item in use.names:
            value = used.names.get(item.name.text)
            if value is None:
                self.report.add(
                    error(
                        "MN0204",
                        f"`{use.path}` has no `{item.name.text}`",
                        at=item.name.span,
                        label=meant(item.name.text, list(used.names), "not defined there"),
                        help=f"it defines {', '.join(sorted(used.names))}" if used.names else "it defines nothing",
                    )
                )
                continue
            name = item.alias or item.name
            self._bind(name.text, name.span, value, scope)

    def _load(self, use: ast.Use, scope: FileScope) -> FileScope | None:
        path = self._path(use, scope)
        if path is None:
            return None
        key = path.resolve()
        if key in self._loading:
            cycle = " -> ".join(item.name for item in [*self._loading[self._loading.index(key) :], key])
            self.report.add(
                error(
                    "MN0207",
                    f"files use each other in a circle: {cycle}",
                    at=use.path_span,
                    label="this file is being read already",
                    help="move what both need into a third file",
                )
            )
            return None
        if key not in self._scopes:
            if len(self._scopes) >= MAX_FILES:
                self.report.add(error("MN0503", f"more than {MAX_FILES} files are used", at=use.path_span))
                return None
            self._loading.append(key)
            try:
                self._scopes[key] = self._read(use, path)
            finally:
                self._loading.pop()
        return self._scopes[key]

    def _read(self, use: ast.Use, path: Path) -> FileScope:
        source = read_source(path)
        if not use.is_file:
            source = SourceFile(f"{use.path.replace('.', '/')}.mnet", source.text)
        file, problems = parse_with_errors(source)
        self.report.extend(problems)
        return self.scope(file, is_library=not use.is_file)

    def _path(self, use: ast.Use, scope: FileScope) -> Path | None:
        if use.is_file:
            return self._file_path(use, scope)
        library, *rest = use.path.split(".")
        folder = LIBRARIES.get(library)
        if folder is None:
            self._unknown(use, did_you_mean(library, list(LIBRARIES)), f"libraries: {', '.join(LIBRARIES)}")
            return None
        path = folder().joinpath(*rest).with_suffix(".mnet")
        if not rest or not is_file(path):
            known = sorted(f"{library}.{file.stem}" for file in folder().glob("*.mnet"))
            self._unknown(use, did_you_mean(use.path, known), f"there are {', '.join(known)}")
            return None
        return path

    def _file_path(self, use: ast.Use, scope: FileScope) -> Path | None:
        relative = PurePosixPath(use.path)
        path = Path(scope.file.source.path).parent / relative
        if not is_file(path):
            siblings = sorted(file.name for file in path.parent.glob("*.mnet")) if is_folder(path.parent) else []
            self._unknown(use, did_you_mean(relative.name, siblings), "the path is relative to this file")
            return None
        return path

    def _unknown(self, use: ast.Use, suggestion: str | None, help: str) -> None:
        self.report.add(
            error(
                "MN0208",
                f"there is no `{use.path}` to use",
                at=use.path_span,
                label=f"did you mean `{suggestion}`?" if suggestion else "not found",
                help=help,
            )
        )
