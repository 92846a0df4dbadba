"""The one layout of `.mnet` files: `mnet fmt`.

Comments stay with the line they stand on or in front of; blank lines are kept, at most one at a time. Two spaces a
level, calls longer than a line are broken one argument a line, table columns are aligned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mnetdsl.source import SourceFile, Span
from mnetdsl.syntax import ast
from mnetdsl.syntax.comments import comments
from mnetdsl.syntax.expression_printer import argument, inline
from mnetdsl.syntax.parser import parse

WIDTH = 100
INDENT = "  "
AnyNode = TypeVar("AnyNode", bound=ast.Node)


def format_source(source: SourceFile) -> str:
    """The text in the one layout; raises `MnetError` where it cannot be parsed. Formatting twice changes nothing."""
    return _Formatter(source).run()


class _Formatter:
    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.file = parse(source)
        self.comments = comments(source)
        self.lines: list[str] = []
        self.level = 0

    def run(self) -> str:
        self._comments_before(self.file.span.start)
        self._emit(f"mnet {self.file.version}", self.file.span.line)
        previous: ast.Item | None = None
        for item in self.file.items:
            together = isinstance(item, ast.Use) and isinstance(previous, ast.Use)
            if not together or self._blank_before(item.span.start):
                self._blank()
            self._comments_before(item.span.start)
            self._item(item)
            previous = item
        if self.comments:
            self._blank_if(self._blank_before(self.comments[0].offset))
        self._comments_before(len(self.source.text) + 1)
        return "\n".join(self.lines) + "\n"

    # Lines and comments

    def _emit(self, text: str, last_line: int) -> None:
        """One line, with the comment that stood behind the source's line `last_line`."""
        trailing = ""
        while self.comments and self.comments[0].line == last_line and not self.comments[0].own_line:
            trailing += "  " + self.comments.pop(0).text
        self.lines.append(f"{INDENT * self.level}{text}{trailing}".rstrip())

    def _comments_before(self, offset: int) -> None:
        """Comments on lines of their own in front of `offset`, and those that a joined line left behind."""
        while self.comments and self.comments[0].offset < offset:
            comment = self.comments.pop(0)
            self._blank_if(self._blank_before(comment.offset))
            self.lines.append(f"{INDENT * self.level}{comment.text}")
        if self.lines and self.lines[-1].lstrip().startswith("#"):
            self._blank_if(self._blank_before(offset))

    def _blank(self) -> None:
        if self.lines and self.lines[-1] and not self.lines[-1].endswith("{"):
            self.lines.append("")

    def _blank_if(self, condition: bool) -> None:
        if condition:
            self._blank()

    def _blank_before(self, offset: int) -> bool:
        """Whether an empty line stands in front of the line of `offset`."""
        line = self.source.position(min(offset, len(self.source.text)))[0]
        return line > 1 and not self.source.line_text(line - 1).strip()

    def _last_line(self, span: Span) -> int:
        return self.source.position(max(span.end - 1, span.start))[0]

    # Items

    def _item(self, item: ast.Item) -> None:
        if isinstance(item, ast.Use):
            path = item.path_span.text if item.is_file else item.path
            names = [_used(name) for name in item.names]
            self._braced(f"use {path}", item.path_span.end, names, item.names, item.span)
            return
        for line in item.doc.split("\n") if item.doc else ():
            self._doc(line)
        if isinstance(item, ast.Deploy):
            self._deploy(item)
            return
        keyword = "block" if isinstance(item, ast.Block) else "model"
        self._comments_before(item.name.span.start)
        self._opening(f"{keyword} {item.name.text}", [_parameter(p) for p in item.parameters], item)
        self._body(item.body, item.span)

    def _doc(self, line: str) -> None:
        self.lines.append(f"{INDENT * self.level}/// {line}".rstrip())

    def _opening(self, head: str, parameters: Sequence[str], item: ast.Block | ast.Model) -> None:
        text = f"{head}({', '.join(parameters)}) {{"
        end = self._behind(")", item.parameters[-1].span.end if item.parameters else item.name.span.end)
        inside = self._has_comment(item.name.span.end, end)
        last = self._brace_line(end)
        if len(text) <= WIDTH and not inside:
            self._emit(text, last)
            return
        self._emit(f"{head}(", self._last_line(item.name.span))
        self._broken(parameters, item.parameters, end)
        self._emit(") {", last)

    def _broken(self, texts: Sequence[str], nodes: Sequence[ast.Node], end: int) -> None:
        """Items one a line, a comma behind all but the last; then the comments in front of `end`."""
        self.level += 1
        for number, (text, node) in enumerate(zip(texts, nodes, strict=True)):
            self._comments_before(node.span.start)
            comma = "," if number + 1 < len(texts) else ""
            self._emit(f"{text}{comma}", self._last_line(node.span))
        self._comments_before(end)
        self.level -= 1

    def _deploy(self, deploy: ast.Deploy) -> None:
        arguments = f"({', '.join(argument(item) for item in deploy.arguments)})" if deploy.arguments else ""
        head = f"deploy {deploy.name.text} of {deploy.model.text}{arguments} {{"
        end = deploy.arguments[-1].span.end if deploy.arguments else deploy.model.span.end
        self._emit(head, self._brace_line(end))
        entries: list[ast.Setting | ast.Section | ast.Table] = [*deploy.settings, *deploy.sections, *deploy.tables]
        self._block(sorted(entries, key=lambda entry: entry.span.start), deploy.span, self._entry)

    def _entry(self, entry: ast.Setting | ast.Section | ast.Table) -> None:
        if isinstance(entry, ast.Table):
            self._table(entry)
            return
        if isinstance(entry, ast.Setting):
            self._emit(_setting(entry), self._last_line(entry.span))
            return
        kind = "" if entry.argument is None else f" {entry.argument.text}"
        head_end = (entry.argument or entry.name).span.end
        texts = [_setting(setting) for setting in entry.settings]
        self._braced(f"{entry.name.text}{kind}", head_end, texts, entry.settings, entry.span)

    def _braced(self, head: str, head_end: int, texts: Sequence[str], nodes: Sequence[ast.Node], span: Span) -> None:
        """`head { a, b }` on one line, or one entry a line where that is too long or has comments inside."""
        text = f"{head} {{ {', '.join(texts)} }}" if texts else f"{head} {{}}"
        if len(INDENT * self.level + text) <= WIDTH and not self._has_comment(head_end, span.end):
            self._emit(text, self._last_line(span))
            return
        self._emit(f"{head} {{", self._brace_line(head_end))
        self._broken(texts, nodes, span.end)
        self._emit("}", self._last_line(span))

    def _has_comment(self, start: int, end: int) -> bool:
        return any(start <= comment.offset < end for comment in self.comments)

    # Statements

    def _body(self, body: Sequence[ast.Statement], span: Span) -> None:
        self._block(body, span, self._statement)

    def _block(self, nodes: Sequence[AnyNode], span: Span, emit: Callable[[AnyNode], None]) -> None:
        """What stands between braces, and the closing brace, whose opening one has been written."""
        self._inside(nodes, span, emit)
        self._emit("}", self._last_line(span))

    def _inside(self, nodes: Sequence[AnyNode], span: Span, emit: Callable[[AnyNode], None]) -> None:
        self.level += 1
        for number, node in enumerate(nodes):
            self._comments_before(node.span.start)
            self._blank_if(number > 0 and self._blank_before(node.span.start))
            emit(node)
        self._comments_before(span.end)
        while self.lines and not self.lines[-1]:
            self.lines.pop()
        self.level -= 1

    def _statement(self, statement: ast.Statement) -> None:
        match statement:
            case ast.Assign():
                self._assign(statement)
            case ast.Input():
                sizes = ", ".join(map(inline, statement.shape))
                head = f"input {statement.name.text}: {statement.element.text}[{sizes}]"
                self._with_settings(head, statement.shape[-1].span.end, statement.settings, statement.span)
            case ast.Output():
                head = f"output {statement.name.text} = "
                if statement.settings:
                    head += f"{inline(statement.value)}{_label(statement.label)}"
                    head_end = (statement.label or statement.value).span.end
                    self._with_settings(head, head_end, statement.settings, statement.span)
                else:
                    self._value(head, statement.value, statement.label, statement.span)
            case ast.Table():
                self._table(statement)
            case ast.For():
                head = f"for {statement.variable.text} in {inline(statement.iterable)}{_label(statement.label)} {{"
                end = (statement.label or statement.iterable).span.end
                self._emit(head, self._brace_line(end))
                self._body(statement.body, statement.span)
            case ast.If():
                self._if(statement)
            case ast.Assert():
                message = "" if statement.message is None else f", {statement.message.span.text}"
                self._emit(f"assert {inline(statement.condition)}{message}", self._last_line(statement.span))
            case ast.Return():
                self._emit(f"return {', '.join(map(inline, statement.values))}", self._last_line(statement.span))

    def _with_settings(self, head: str, head_end: int, settings: Sequence[ast.Setting], span: Span) -> None:
        if settings:
            self._braced(head, head_end, [_setting(setting) for setting in settings], settings, span)
        else:
            self._emit(head, self._last_line(span))

    def _assign(self, assign: ast.Assign) -> None:
        targets = ", ".join(target.text for target in assign.targets)
        self._value(f"{targets} = ", assign.value, assign.label, assign.span)

    def _value(self, head: str, value: ast.Expr, label: ast.Identifier | None, span: Span) -> None:
        """`head value as label`; a call too long for its line is broken one argument a line."""
        text = f"{head}{inline(value)}{_label(label)}"
        fits = len(INDENT * self.level + text) <= WIDTH and not self._has_comment(value.span.start, value.span.end)
        if fits or not isinstance(value, ast.Call) or not value.arguments:
            self._emit(text, self._last_line(span))
            return
        self._emit(f"{head}{value.callee.text}(", self._last_line(value.callee.span))
        self._broken([argument(item) for item in value.arguments], value.arguments, value.span.end)
        self._emit(f"){_label(label)}", self._last_line(span))

    def _if(self, statement: ast.If) -> None:
        head = f"if {inline(statement.condition)} {{"
        while True:
            start = statement.condition.span.end
            self._emit(head, self._brace_line(start))
            end = self._then_end(statement)
            self._inside(statement.then, Span(self.source, start, end), self._statement)
            if not statement.otherwise:
                self._emit("}", self.source.position(end - 1)[0])
                return
            if not self._is_else_if(statement, end):
                self._emit("} else {", self._brace_line(end))
                self._body(statement.otherwise, statement.span)
                return
            (inner,) = statement.otherwise
            assert isinstance(inner, ast.If)
            head, statement = f"}} else if {inline(inner.condition)} {{", inner

    def _then_end(self, statement: ast.If) -> int:
        """Behind the brace that closes the first branch."""
        if not statement.otherwise:
            return statement.span.end
        if statement.then:
            return self._behind("}", statement.then[-1].span.end)
        return self._behind("}", self._behind("{", statement.condition.span.end))

    def _brace_line(self, start: int) -> int:
        """Line of the next `{`."""
        return self.source.position(self._behind("{", start) - 1)[0]

    def _behind(self, char: str, position: int) -> int:
        """The place behind the next `char` that stands in no comment."""
        while self.source.text[position] != char:
            comment = self.source.text[position] == "#"
            position = self.source.text.index("\n", position) if comment else position + 1
        return position + 1

    def _is_else_if(self, statement: ast.If, end: int) -> bool:
        """Whether `else` is followed by `if` itself, not by a body that holds one."""
        first = statement.otherwise[0]
        between = self.source.text[end : first.span.start]
        return isinstance(first, ast.If) and "{" not in _without_comments(between)

    def _table(self, table: ast.Table) -> None:
        cells = [
            [column.text for column in table.columns],
            *([_cell(cell) for cell in row.cells] for row in table.rows),
        ]
        widths = [max(len(row[column]) for row in cells) for column in range(len(table.columns))]
        lefts = [not any(_is_number(row.cells[column]) for row in table.rows) for column in range(len(table.columns))]

        def text(row: Sequence[str]) -> str:
            padded = (
                cell.ljust(width) if left else cell.rjust(width)
                for cell, width, left in zip(row, widths, lefts, strict=True)
            )
            return "  ".join(padded).rstrip()

        nodes: list[ast.Node] = [ast.Node(table.columns[0].span.to(table.columns[-1].span)), *table.rows]
        texts = dict(zip(map(id, nodes), map(text, cells), strict=True))
        self._emit(f"table {table.name.text} {{", self._brace_line(table.name.span.end))
        self._block(nodes, table.span, lambda node: self._emit(texts[id(node)], self._last_line(node.span)))


def _without_comments(text: str) -> str:
    return "\n".join(line.partition("#")[0] for line in text.split("\n"))


def _label(label: ast.Identifier | None) -> str:
    return "" if label is None else f" as {label.text}"


def _used(used: ast.UsedName) -> str:
    return f"{used.name.text}{_label(used.alias)}"


def _parameter(parameter: ast.Parameter) -> str:
    default = "" if parameter.default is None else f" = {inline(parameter.default)}"
    return f"{parameter.name.text}: {parameter.type.text}{default}"


def _setting(setting: ast.Setting) -> str:
    return f"{setting.name.text} = {inline(setting.value)}"


def _cell(cell: ast.Expr) -> str:
    """Cells other than single words and numbers stand in parentheses."""
    simple = isinstance(cell, ast.Name | ast.Number | ast.String | ast.Bool)
    negative = isinstance(cell, ast.Unary) and cell.operator == "-" and isinstance(cell.operand, ast.Number)
    return inline(cell) if simple or negative else f"({inline(cell)})"


def _is_number(cell: ast.Expr) -> bool:
    return isinstance(cell, ast.Number | ast.Binary) or (isinstance(cell, ast.Unary) and cell.operator == "-")
