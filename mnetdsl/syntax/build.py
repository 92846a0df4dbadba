"""Parse tree to syntax tree: one method a rule of the grammar, in its order."""

from __future__ import annotations

from typing import Any

from lark import Token, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from mnetdsl.source import SourceFile, Span
from mnetdsl.syntax import ast

SIZE_UNITS = {"K": 1024, "M": 1024 * 1024}
ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


class Failed:
    """Stands in the parse tree for what could not be parsed and has been reported."""


def unescape(text: str) -> str:
    """Content of a string literal without its quotes."""
    result: list[str] = []
    characters = iter(text)
    for char in characters:
        result.append(ESCAPES[next(characters)] if char == "\\" else char)
    return "".join(result)


def _kept(items: Any) -> tuple[Any, ...]:
    return tuple(item for item in items if item is not None and not isinstance(item, Failed))


@v_args(meta=True)
class TreeBuilder(Transformer_NonRecursive[Token, Any]):
    """Builds the frozen nodes of `ast`; lark calls the method named like the rule with its children."""

    def __init__(self, source: SourceFile) -> None:
        super().__init__(visit_tokens=False)
        self.source = source

    def _span(self, meta: Meta) -> Span:
        if meta.empty:
            return Span(self.source, 0, 0)
        return Span(self.source, meta.start_pos, meta.end_pos)

    def _identifier(self, token: Token) -> ast.Identifier:
        return ast.Identifier(self._token_span(token), str(token))

    def _optional(self, token: Token | None) -> ast.Identifier | None:
        return None if token is None else self._identifier(token)

    def _token_span(self, token: Token) -> Span:
        start = token.start_pos or 0
        return Span(self.source, start, start + len(token))

    def failed(self, meta: Meta, children: list[Any]) -> Failed:
        return Failed()

    # File

    def file(self, meta: Meta, children: list[Any]) -> ast.MnetFile:
        version = next((child for child in children if isinstance(child, int)), 1)
        items = tuple(child for child in children if isinstance(child, ast.Use | ast.Block | ast.Model | ast.Deploy))
        return ast.MnetFile(self._span(meta), self.source, version, items)

    def edition(self, meta: Meta, children: list[Any]) -> int:
        return _integer(children[0])

    def use(self, meta: Meta, children: list[Any]) -> ast.Use:
        path, *names = children
        if isinstance(path, Token):
            return ast.Use(self._span(meta), unescape(path[1:-1]), True, self._token_span(path), _kept(names))
        return ast.Use(self._span(meta), path.text, False, path.span, _kept(names))

    def module(self, meta: Meta, children: list[Any]) -> ast.Identifier:
        return ast.Identifier(self._span(meta), ".".join(children))

    def used_name(self, meta: Meta, children: list[Any]) -> ast.UsedName:
        name, alias = children
        return ast.UsedName(self._span(meta), self._identifier(name), self._optional(alias))

    def block(self, meta: Meta, children: list[Any]) -> ast.Block:
        docs, name, parameters, body = children
        return ast.Block(self._span(meta), self._identifier(name), parameters, body, docs)

    def model(self, meta: Meta, children: list[Any]) -> ast.Model:
        docs, name, parameters, body = children
        return ast.Model(self._span(meta), self._identifier(name), parameters, body, docs)

    def docs(self, meta: Meta, children: list[Any]) -> str:
        return "\n".join(str(line)[3:].removeprefix(" ").rstrip() for line in children)

    def parameters(self, meta: Meta, children: list[Any]) -> tuple[ast.Parameter, ...]:
        return _kept(children)

    def parameter(self, meta: Meta, children: list[Any]) -> ast.Parameter:
        name, kind, default = children
        return ast.Parameter(self._span(meta), self._identifier(name), self._identifier(kind), default)

    def deploy(self, meta: Meta, children: list[Any]) -> ast.Deploy:
        docs, name, model, arguments, *entries = children
        return ast.Deploy(
            self._span(meta),
            self._identifier(name),
            self._identifier(model),
            arguments or (),
            tuple(entry for entry in entries if isinstance(entry, ast.Setting)),
            tuple(entry for entry in entries if isinstance(entry, ast.Section)),
            tuple(entry for entry in entries if isinstance(entry, ast.Table)),
            docs,
        )

    def section(self, meta: Meta, children: list[Any]) -> ast.Section:
        name, argument, settings = children
        return ast.Section(self._span(meta), self._identifier(name), self._optional(argument), settings)

    def settings(self, meta: Meta, children: list[Any]) -> tuple[ast.Setting, ...]:
        return _kept(children)

    def setting(self, meta: Meta, children: list[Any]) -> ast.Setting:
        name, value = children
        return ast.Setting(self._span(meta), self._identifier(name), value)

    # Statements

    def body(self, meta: Meta, children: list[Any]) -> tuple[ast.Statement, ...]:
        return _kept(children)

    def assign(self, meta: Meta, children: list[Any]) -> ast.Assign:
        targets, value, label = children
        return ast.Assign(self._span(meta), targets, value, self._optional(label))

    def targets(self, meta: Meta, children: list[Any]) -> tuple[ast.Identifier, ...]:
        return tuple(self._identifier(name) for name in children)

    def input(self, meta: Meta, children: list[Any]) -> ast.Input:
        name, element, *shape, settings = children
        return ast.Input(
            self._span(meta), self._identifier(name), self._identifier(element), tuple(shape), settings or ()
        )

    def output(self, meta: Meta, children: list[Any]) -> ast.Output:
        name, value, label, settings = children
        return ast.Output(self._span(meta), self._identifier(name), value, self._optional(label), settings or ())

    def table(self, meta: Meta, children: list[Any]) -> ast.Table:
        name, columns, *rows = children
        return ast.Table(self._span(meta), self._identifier(name), columns, _kept(rows))

    def columns(self, meta: Meta, children: list[Any]) -> tuple[ast.Identifier, ...]:
        return tuple(self._identifier(name) for name in children)

    def row(self, meta: Meta, children: list[Any]) -> ast.TableRow:
        return ast.TableRow(self._span(meta), tuple(children))

    def negative(self, meta: Meta, children: list[Any]) -> ast.Unary:
        return ast.Unary(self._span(meta), "-", children[-1])

    def for_loop(self, meta: Meta, children: list[Any]) -> ast.For:
        variable, iterable, label, body = children
        return ast.For(self._span(meta), self._identifier(variable), iterable, self._optional(label), body)

    def if_else(self, meta: Meta, children: list[Any]) -> ast.If:
        condition, then, otherwise = children
        if isinstance(otherwise, ast.If):
            otherwise = (otherwise,)
        return ast.If(self._span(meta), condition, then, otherwise or ())

    def assertion(self, meta: Meta, children: list[Any]) -> ast.Assert:
        condition, message = children
        return ast.Assert(self._span(meta), condition, message)

    def return_values(self, meta: Meta, children: list[Any]) -> ast.Return:
        return ast.Return(self._span(meta), tuple(children))

    # Expressions

    def conditional(self, meta: Meta, children: list[Any]) -> ast.Conditional:
        then, condition, otherwise = children
        return ast.Conditional(self._span(meta), then, condition, otherwise)

    def _binary(self, meta: Meta, children: list[Any]) -> ast.Binary:
        left, operator, right = children
        return ast.Binary(self._span(meta), str(operator), left, right)

    disjunction = conjunction = comparison = sum = product = power = _binary

    def _unary(self, meta: Meta, children: list[Any]) -> ast.Unary:
        operator, operand = children
        return ast.Unary(self._span(meta), str(operator), operand)

    negation = sign = _unary

    def attribute(self, meta: Meta, children: list[Any]) -> ast.Attribute:
        value, name = children
        return ast.Attribute(self._span(meta), value, self._identifier(name))

    def index(self, meta: Meta, children: list[Any]) -> ast.Index:
        value, index = children
        return ast.Index(self._span(meta), value, index)

    def call(self, meta: Meta, children: list[Any]) -> ast.Call:
        name, arguments = children
        return ast.Call(self._span(meta), ast.Name(self._token_span(name), str(name)), arguments)

    def arguments(self, meta: Meta, children: list[Any]) -> tuple[ast.Argument, ...]:
        return _kept(children)

    def argument(self, meta: Meta, children: list[Any]) -> ast.Argument:
        name, value = children
        return ast.Argument(self._span(meta), self._optional(name), value)

    def name(self, meta: Meta, children: list[Any]) -> ast.Name:
        return ast.Name(self._span(meta), str(children[0]))

    def number(self, meta: Meta, children: list[Any]) -> ast.Number:
        (token,) = children
        if token.type == "SIZE":
            return ast.Number(self._span(meta), _integer(token[:-1]) * SIZE_UNITS[token[-1]])
        return ast.Number(self._span(meta), float(token) if token.type == "FLOAT" else _integer(token))

    def string(self, meta: Meta, children: list[Any]) -> ast.String:
        return ast.String(self._span(meta), unescape(children[0][1:-1]))

    def bool(self, meta: Meta, children: list[Any]) -> ast.Bool:
        return ast.Bool(self._span(meta), children[0].type == "TRUE")

    def list(self, meta: Meta, children: list[Any]) -> ast.ListLiteral:
        return ast.ListLiteral(self._span(meta), tuple(children))


def _integer(digits: str) -> int:
    """The integer, or infinity's stand-in where it has more digits than Python converts; both are out of range."""
    return int(digits) if len(digits) <= 400 else 10**400
