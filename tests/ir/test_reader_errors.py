"""Text that is no module of ours: one error with its code and place, never a traceback."""

from __future__ import annotations

import re
import shlex

import pytest

from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.diagnostics.explain import page
from mnetdsl.diagnostics.text import render
from mnetdsl.ir.text import lexer, parser
from mnetdsl.ir.text.reader import read_module
from mnetdsl.passes.derive import materialize
from mnetdsl.passes.spec import parse_passes
from mnetdsl.source import SourceFile
from tests.ir.test_text import GOLDEN

CONV = '%1 = "mnet.conv2d"(%image, %0) {'
CONV_TYPES = "(tensor<1x8x8x3xf32>, tensor<3x3x3x4xf32>) -> tensor<1x4x4x4xf32>"


def problem(text: str) -> Diagnostic:
    with pytest.raises(MnetError) as caught:
        read_module(SourceFile("test.mlir", text))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.primary is not None
    return diagnostic


def changed(old: str, new: str) -> Diagnostic:
    assert GOLDEN.count(old) >= 1, old
    return problem(GOLDEN.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ('"func.return"', "?", "MN1001", "`?` has no meaning"),
        ('"func.return"', '"func.return', "MN1001", "does not end"),
        ('"mnet.conv2d"', '"mnet\\zconv2d"', "MN1001", "escape"),
        ("strides = [2, 2]", "strides = [2, 2", "MN1002", "expected `]`, found `}`"),
        ("strides = [2, 2]", "strides = 2.0 : f32", "MN1002", "`i64` or `f64`"),
        ("strides = [2, 2]", "strides = [2, 99999999999999999999]", "MN1002", "is not between"),
        ("strides = [2, 2]", f"strides = [{'9' * 5000}]", "MN1002", "is not between"),
        ('"stem"("net.mnet":5:7)', '"stem"("stem"("net.mnet":5:7))', "MN1002", "a name inside a name"),
        ('"stem"("net.mnet":5:7)', '"stem"(#loc)', "MN1005", "`#loc` is not defined"),
        ('"net.mnet":5:7', '"net.mnet":99999999999:7', "MN1002", "is not between 0 and 4294967295"),
        ("mnet.conv2d", "mnet.conv3d", "MN1004", "no operation `mnet.conv3d`"),
        ("mnet.conv2d", "tosa.conv2d", "MN1004", "no operation `tosa.conv2d`"),
        ("%1 = ", "%0 = ", "MN1005", "`%0` is defined twice"),
        ("(%image, %0)", "(%image, %2)", "MN1005", "`%2` is not defined above"),
        ("strides =", "stride =", "MN1006", "has no attribute `stride`"),
        ("strides = [2, 2]", "strides = [2, 2], strides = [2, 2]", "MN1006", "given twice"),
        ("strides = [2, 2]", 'strides = [2, "2"]', "MN1006", "this must be a number"),
        ('resource = "stem.weight", ', "", "MN1006", "needs the attribute `resource`"),
        ("strides = [2, 2]", "strides = [2.0, 2.0]", "MN1008", "must be a list of integers"),
        ("strides = [2, 2]", "strides = [0, 2]", "MN1008", "must be at least 1"),
        ("array<i32: 1, 1, 0, 0, 0, 0>", "array<i32: 1, 1, 1, 0, 0, 0>", "MN1007", "takes (input, filter, bias?, "),
        ("array<i32: 1, 1, 0, 0, 0, 0>", "array<i32: 2, 0, 0, 0, 0, 0>", "MN1007", "groups of [2, 0, 0, 0, 0, 0]"),
        ("array<i32: 1, 1, 0, 0, 0, 0>", "array<i32: 1, 1>", "MN1007", "groups of [1, 1]"),
        ("array<i32: 1, 1, 0, 0, 0, 0>", "array<i32: -1, 1>", "MN1006", "a list of counts"),
        (f"{CONV_TYPES} loc", "(tensor<1x8x8x3xf32>) -> tensor<1x4x4x4xf32> loc", "MN1007", "2 operands and 1 "),
        (f"{CONV_TYPES} loc", f"{CONV_TYPES.replace('3xf32', '3xi8', 1)} loc", "MN1008", "is a tensor<1x8x8x3xf32>"),
        (f"{CONV_TYPES} loc", f"{CONV_TYPES.replace('1x4x4', '1x5x4')} loc", "MN1008", "gives tensor<1x4x4x4xf32>"),
        ("padding = [0, 1, 0, 1]", "padding = [0, 0, 0, 0]", "MN1008", "gives tensor<1x3x3x4xf32>"),
        ("tensor<1x8x8x3xf32>", "tensor<1x8x8x0xf32>", "MN1008", "has a size of 0"),
        ("tensor<1x8x8x3xf32>", "tensor<f32>", "MN1008", "has no dimensions"),
        ("tensor<1x8x8x3xf32>", "tensor<1x1x1x1x1x1x1x1x1xf32>", "MN1008", "has 9 dimensions"),
        ("tensor<1x8x8x3xf32>", "tensor<1x65536x65536xf32>", "MN1008", "elements, more than"),
        ("tensor<1x8x8x3xf32>", f"tensor<{'9' * 6000}xf32>", "MN1008", "absurd"),
        ("tensor<1x8x8x3xf32>", "tensor<1x8x8x3xf64>", "MN1002", "expected an element type"),
        ("tensor<1x8x8x3xf32>", "tensor<1x!quant.uniform<i8:f32, 0.0>>", "MN1008", "no positive float32"),
        ("tensor<1x8x8x3xf32>", "tensor<1x!quant.uniform<i8:f32, 1.0:200>>", "MN1008", "zero point outside -128"),
        ("tensor<1x8x8x3xf32>", "tensor<1x!quant.uniform<i64:f32, 1.0>>", "MN1008", "cannot be quantized as i64"),
        ("tensor<1x8x8x3xf32>", "tensor<1x2x!quant.uniform<i8:f32:1, {1.0}>>", "MN1008", "needs 2 scales"),
        ("tensor<1x8x8x3xf32>", "tensor<1x2x!quant.uniform<i8:f32:2, {1.0}>>", "MN1008", "has no axis 2"),
        ("tensor<1x8x8x3xf32>", "tensor<1x!quant.any<i8>>", "MN1002", "`!quant.uniform`"),
        ('mnet.name = "image"', 'mnet.title = "image"', "MN1009", "a port needs its name"),
        ('mnet.name = "image"', 'mnet.name = "image", title = "x"', "MN1006", "no attribute of a port"),
        ('mnet.name = "image"', 'mnet.name = "image", mnet.mean = [1, 2.0]', "MN1006", "must be a number"),
        ('[{mnet.name = "image"}]', "[]", "MN1009", "must be a list of 1 dictionaries"),
        ('arg_attrs = [{mnet.name = "image"}], ', "", "MN1009", "needs `arg_attrs`"),
        ("function_type =", "type =", "MN1006", "`func.func` has no attribute `type`"),
        ("(tensor<1x8x8x3xf32>) -> (tensor<1x4x4x4xf32>), ", "() -> (), ", "MN1009", "must be a list of 0"),
        ('sym_name = "main"', 'sym_name = "main", visibility = 3', "MN1006", "no attribute `visibility`"),
        ('<{sym_name = "net"}>', "", "MN1009", "needs its name"),
        ("mnet.ir = 1", "mnet.ir = 2", "MN1009", "not IR text of edition 1"),
        ("{mnet.ir = 1 : i64}", "", "MN1009", "not IR text of edition 1"),
        ("mnet.ir = 1 : i64", "mnet.ir = 1 : i64, mnet.derived = [{}]", "MN1006", "a derived array needs `name`"),
        ('"func.return"', '"mnet.relu"', "MN1009", "the function must end in"),
        ('"builtin.module"', '"func.func"', "MN1009", 'must hold one `"builtin.module"`'),
        ("  ^bb0", '  "func.return"() : () -> () ^bb0', "MN1009", "a graph is a single block"),
        ('"mnet.conv2d"(%image, %0) {', '"mnet.conv2d"(%image, %0) ({}) {', "MN1007", "no region"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_code(old: str, new: str, code: str, message: str) -> None:
    diagnostic = changed(old, new)
    assert (diagnostic.code, message in diagnostic.message) == (code, True), diagnostic


def test_the_place_is_that_of_the_mistake() -> None:
    diagnostic = changed("(%image, %0)", "(%image, %imag)")
    assert diagnostic.primary is not None
    assert (diagnostic.primary.span.line, diagnostic.primary.span.column) == (5, 32)
    assert diagnostic.primary.text == "did you mean `%image`?"


def test_a_second_definition_names_the_first() -> None:
    (first,) = changed("%1 = ", "%0 = ").secondary
    assert (first.span.line, first.span.column, first.text) == (4, 5, "the first one")


def test_two_layers_with_weights_of_one_name_are_refused_where_the_second_stands() -> None:
    second = '    %9 = "mnet.conv2d"(%image, %0) {' + GOLDEN.split(CONV)[1].split("\n")[0] + "\n"
    diagnostic = changed('    "func.return"', second + '    "func.return"')
    assert diagnostic.code == "MN1010"
    assert diagnostic.primary is not None
    assert diagnostic.primary.span.line == 6


@pytest.mark.parametrize("text", ["", " \n", "// only a comment", "#loc = loc(unknown)"])
def test_a_text_without_module(text: str) -> None:
    assert problem(text).code == "MN1009"


def test_more_than_one_module() -> None:
    assert problem(GOLDEN + GOLDEN).message == 'expected the end of the text, found `"builtin.module"`'


def test_every_prefix_is_refused_without_a_traceback() -> None:
    end = len(GOLDEN.rstrip()) - len(" loc(unknown)")
    for length in range(0, end, 3):
        assert problem(GOLDEN[:length]).code in ("MN1001", "MN1002", "MN1008", "MN1009"), length


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert changed("strides = [2, 2]", f"strides = {'[' * 10_000}").code == "MN1003"
    assert changed("strides = [2, 2]", f"strides = {'{a = ' * 10_000}").code == "MN1003"
    assert changed("strides = [2, 2]", f"strides = [{'2, ' * 100}2]").code == "MN1003"
    assert problem('"a"() ({' * 100).code == "MN1003"
    monkeypatch.setattr(parser, "MAX_OPERATIONS", 3)
    assert problem(GOLDEN).code == "MN1003"
    monkeypatch.setattr(lexer, "MAX_TOKENS", 50)
    assert problem(GOLDEN).code == "MN1003"
    monkeypatch.setattr(lexer, "MAX_CHARACTERS", 100)
    assert problem(GOLDEN).code == "MN1003"


@pytest.mark.parametrize("padding", [" " * 500_000, "\t" * 500_000, '"a"() ' + "a" * 500_000])
def test_a_mistake_in_a_very_long_line_is_shown_shortly_and_soon(padding: str) -> None:
    shown = render([problem(padding + "?" * 1000)])
    assert max(map(len, shown.splitlines())) < 250


def test_aliases_of_locations_that_lead_in_a_circle() -> None:
    text = GOLDEN.replace('loc("stem"("net.mnet":5:7))', "loc(#a)", 1)
    assert problem(text + "#a = loc(#b)\n#b = loc(#a)").message == "the location `#a` leads back to itself"


def _fences(code: str) -> dict[str, str]:
    text = page(code)
    return dict(re.findall(r"## (Wrong|Right)\n\n```(?:text|sh)\n(.*?)```", text, re.DOTALL))


@pytest.mark.parametrize("number", range(1001, 1011))
def test_examples_of_the_pages_on_text(number: int) -> None:
    fences = _fences(f"MN{number}")
    assert problem(fences["Wrong"]).code == f"MN{number}"
    read_module(SourceFile("right.mlir", fences["Right"]))


@pytest.mark.parametrize("number", [1011, 1012])
def test_examples_of_the_pages_on_passes(number: int) -> None:
    fences = {heading: shlex.split(line)[-1] for heading, line in _fences(f"MN{number}").items()}
    with pytest.raises(MnetError, match=f"MN{number}"):
        parse_passes(fences["Wrong"])
    assert parse_passes(fences["Right"])


def test_example_of_the_page_on_derived_arrays() -> None:
    import numpy as np

    fences = _fences("MN1013")
    given = np.zeros((4, 1), np.float32)
    wrong, right = (read_module(SourceFile("x.mlir", fences[heading])) for heading in ("Wrong", "Right"))
    wrong.resources["given"] = right.resources["given"] = given
    with pytest.raises(MnetError, match="MN1013"):
        materialize(wrong)
    materialize(right)
    assert right.resources["offset"].shape == (4, 1)
