"""Text to tree: spans, layout, several errors in one run, bounds."""

from __future__ import annotations

import time
from dataclasses import fields
from pathlib import Path

import pytest

from mnetdsl.source import SourceFile
from mnetdsl.syntax import ast
from mnetdsl.syntax.parser import MAX_SYNTAX_ERRORS, parse, parse_with_errors

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted([*ROOT.glob("examples/**/*.mnet"), *ROOT.glob("mnetdsl/std/*.mnet")])


def model(body: str) -> tuple[ast.Statement, ...]:
    (item,) = parse(SourceFile("net.mnet", f"mnet 1\nmodel net() {{\n{body}\n}}\n")).items
    assert isinstance(item, ast.Model)
    return item.body


def value(text: str) -> ast.Expr:
    (statement,) = model(f"x = {text}")
    assert isinstance(statement, ast.Assign)
    return statement.value


def shown(expression: ast.Expr) -> str:
    """The expression with all its parentheses."""
    match expression:
        case ast.Binary():
            return f"({shown(expression.left)} {expression.operator} {shown(expression.right)})"
        case ast.Unary():
            return f"({expression.operator} {shown(expression.operand)})"
        case ast.Conditional():
            parts = shown(expression.then), shown(expression.condition), shown(expression.otherwise)
            return "({} if {} else {})".format(*parts)
        case ast.Attribute():
            return f"{shown(expression.value)}.{expression.name.text}"
        case ast.Index():
            return f"{shown(expression.value)}[{shown(expression.index)}]"
        case ast.Name():
            return expression.text
        case ast.Number():
            return str(expression.value)
        case _:
            raise AssertionError(expression)


def errors(text: str) -> list[tuple[str, int]]:
    """Code and line of each syntax error."""
    problems = parse_with_errors(SourceFile("net.mnet", text))[1]
    return [(problem.code, problem.primary.span.line if problem.primary else 0) for problem in problems]


def in_model(*lines: str) -> list[tuple[str, int]]:
    """Errors of a body; its first line is line 3."""
    return errors("\n".join(("mnet 1", "model net() {", *lines, "}", "")))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a + b * c", "(a + (b * c))"),
        ("a - b - c", "((a - b) - c)"),
        ("a // b / c % d", "(((a // b) / c) % d)"),
        ("-a ** b", "(- (a ** b))"),
        ("a ** -b ** c", "(a ** (- (b ** c)))"),
        ("not a == b", "(not (a == b))"),
        ("a or b and not c", "(a or (b and (not c)))"),
        ("a if b else c if d else e", "(a if b else (c if d else e))"),
        ("a or b if c or d else e", "((a or b) if (c or d) else e)"),
        ("(a + b) * c", "((a + b) * c)"),
        ("a.b[c].d", "a.b[c].d"),
        ("-a.b[1]", "(- a.b[1])"),
        ("a < b + 1", "(a < (b + 1))"),
    ],
)
def test_operators_bind_as_in_python(text: str, meaning: str) -> None:
    assert shown(value(text)) == meaning


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), ("0.5", 0.5), ("1e-3", 1e-3), ("2E4", 2e4), ("64K", 65536), ("1M", 1 << 20)]
)
def test_numbers_and_sizes(text: str, number: float) -> None:
    literal = value(text)
    assert isinstance(literal, ast.Number)
    assert (literal.value, type(literal.value)) == (number, type(number))


def test_escapes_of_texts_are_undone() -> None:
    literal = value(r'"a \"b\" \\ \n\t é幅"')
    assert isinstance(literal, ast.String)
    assert literal.value == 'a "b" \\ \n\t é幅'


def test_lines_go_on_inside_brackets_and_behind_commas() -> None:
    assert len(model("x = f(\n  a,\n  b\n)\ny = [\n 1\n, 2]\n\n\n# nothing\nz,\nw = g(x)")) == 3


def test_settings_are_separated_by_commas_or_lines() -> None:
    (first,) = model("input a: u8[1] { color = rgb, mean = 1, }")
    (second,) = model("input a: u8[1] {\n  color = rgb\n  mean = 1\n}")
    assert isinstance(first, ast.Input)
    assert isinstance(second, ast.Input)
    assert [s.name.text for s in first.settings] == [s.name.text for s in second.settings] == ["color", "mean"]


def test_else_if_is_an_if_alone_in_the_other_branch() -> None:
    (chain,) = model("if a { x = 1 } else if b { x = 2 } else { x = 3 }")
    assert isinstance(chain, ast.If)
    (inner,) = chain.otherwise
    assert isinstance(inner, ast.If)
    assert len(inner.otherwise) == 1


def test_doc_comments_belong_to_the_item_behind_them() -> None:
    file = parse(SourceFile("net.mnet", "mnet 1\n/// One.\n///\n/// Two.\nmodel net() {\n}\n"))
    (item,) = file.items
    assert isinstance(item, ast.Model)
    assert item.doc == "One.\n\nTwo."


def every_node(node: object) -> list[ast.Node]:
    if isinstance(node, tuple):
        return [inner for item in node for inner in every_node(item)]
    if not isinstance(node, ast.Node):
        return []
    return [node, *(inner for field in fields(node) for inner in every_node(getattr(node, field.name)))]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_each_node_spans_its_own_text(path: Path) -> None:
    source = SourceFile(path.name, path.read_text(encoding="utf-8"))
    nodes = every_node(parse(source).items)
    assert len(nodes) > 50 or len(source.text) < 1000
    for node in nodes:
        assert 0 <= node.span.start < node.span.end <= len(source.text)
        assert node.span.text == node.span.text.strip()
        if isinstance(node, ast.Name | ast.Identifier):
            assert node.span.text == node.text
        for inner in every_node(tuple(getattr(node, field.name) for field in fields(node))):
            assert node.span.start <= inner.span.start
            assert inner.span.end <= node.span.end


def test_windows_line_ends_change_no_line_and_no_column() -> None:
    text = "mnet 1\n/// Doc.\nmodel net() {\n  input a: u8[1]  # note\n  output y = relu(a)\n}\n"
    unix = every_node(parse(SourceFile("net.mnet", text)).items)
    windows = every_node(parse(SourceFile("net.mnet", text.replace("\n", "\r\n"))).items)
    assert [(n.span.line, n.span.column) for n in unix] == [(n.span.line, n.span.column) for n in windows]
    assert [n.doc for n in windows if isinstance(n, ast.Model)] == ["Doc."]


# Several errors in one run, one for each cause ----------------------------------------------------------------------


def test_errors_on_different_lines_are_all_reported() -> None:
    assert in_model("x = = 1", "y = 2", "z = f(a b)", "w = 3 3") == [("MN0114", 3), ("MN0118", 5), ("MN0117", 6)]


def test_an_error_does_not_end_the_braces_around_it() -> None:
    lines = ("input a: u8[1] { mean 1, std = }", "table t {", "}", "deploy = 3", "x = = 1")
    assert in_model(*lines) == [("MN0102", 3), ("MN0116", 3), ("MN0102", 5), ("MN0111", 6), ("MN0114", 7)]


def test_the_body_behind_a_wrong_head_is_still_read() -> None:
    assert in_model("for in range(3) {", "  x = = 1", "}", "if a = 1 {", "  y = = 1", "}") == [
        ("MN0102", 3),
        ("MN0114", 4),
        ("MN0114", 6),
        ("MN0114", 7),
    ]
    assert errors("mnet 1\nblock f(x tensor) {\n  y = = 1\n}\n") == [("MN0102", 2), ("MN0114", 3)]
    assert errors("mnet 1\ndeploy d m {\n  weights 3\n}\n") == [("MN0102", 2), ("MN0102", 3)]


def test_what_continues_a_wrong_line_is_not_reported_again() -> None:
    assert in_model("x = 1 +", "    2 +", "    3", "y = 1") == [("MN0116", 3)]
    assert in_model("/// one", "/// two", "/// three", "x = 1") == [("MN0109", 3)]
    assert in_model("if true", "{", "  x = 1", "}") == [("MN0122", 4)]


def test_an_open_parenthesis_costs_one_statement() -> None:
    assert in_model("x = f(g(1)", "y = h(2)", "z = = 3") == [("MN0105", 3), ("MN0114", 5)]
    assert in_model("x = f(1", "for i in range(2) {", "  y = = 1", "}") == [("MN0105", 3), ("MN0114", 5)]


def test_an_open_brace_is_blamed_by_indentation() -> None:
    text = "mnet 1\nmodel a() {\n  if true {\n    x = 1\n  y = 2\n}\n\nmodel b() {\n  z = = 1\n}\n"
    assert errors(text) == [("MN0105", 3), ("MN0114", 9)]


def test_an_open_text_costs_its_line() -> None:
    assert in_model('output y = a { labels = "x.txt }', "z = = 1") == [("MN0103", 3), ("MN0114", 4)]


def test_an_unknown_edition_is_all_that_is_said() -> None:
    assert errors("mnet 2\nmodel : ?\n") == [("MN0104", 1)]
    assert errors(f"mnet 1{'0' * 5000}\n") == [("MN0104", 1)]


def test_the_number_of_errors_is_bounded() -> None:
    assert len(in_model(*["x = = 1"] * 100)) == MAX_SYNTAX_ERRORS


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "- " * 50_000 + "1",
        "if a {}" + " else if a {}" * 9_000,
        "x = " + "1 " * 50_000,
        "x = a" + ".a" * 50_000,
        "}\n" * 50_000,
        "/// d\n" * 20_000,
        "///      \n" * 10_000 + "x",
        "/*" * 50_000,
    ],
    ids=lambda text: text[:16].strip(),
)
def test_hostile_text_of_a_hundred_kilobytes_takes_linear_time(text: str) -> None:
    begin = time.process_time()
    assert in_model(text)
    assert time.process_time() - begin < 10
