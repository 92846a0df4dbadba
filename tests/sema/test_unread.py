"""A layer that leads to no output is pointed out; what blocks offer beside other values is not."""

from __future__ import annotations

import pytest

from mnetdsl.diagnostics import Diagnostic, Severity
from mnetdsl.sema import check_text

HEAD = """mnet 1
use std.blocks { conv_bn }

block fork(x: tensor) {
  wide = conv2d(x, 16) as wide
  narrow = conv2d(x, 4) as narrow
  return wide, narrow
}

model net() {
  input image: u8[16, 16, 3]
"""


def warnings(*statements: str) -> list[Diagnostic]:
    found = check_text(HEAD + "\n".join(f"  {statement}" for statement in statements) + "\n}\n")
    assert all((each.code, each.severity) == ("MN0210", Severity.WARNING) for each in found)
    return list(found)


def test_the_last_layer_of_a_chain_is_named_where_it_stands() -> None:
    (found,) = warnings(
        "x = conv2d(image, 8) as first", "y = relu(x)", "z = conv2d(y, 8) as second", "output result = x"
    )
    assert found.message == "nobody reads the result of `second`"
    assert found.primary is not None
    assert found.primary.span.text == "conv2d(y, 8)"


def test_a_block_of_the_library_is_blamed_where_it_is_called() -> None:
    (found,) = warnings("x = conv_bn(image, 8) as spare", "output result = image")
    assert found.primary is not None
    assert found.primary.span.text == "conv_bn(image, 8)"


def test_a_loop_says_it_once() -> None:
    assert len(warnings("for i in range(3) {", "  y = conv2d(image, 8)", "}", "output result = image")) == 1


@pytest.mark.parametrize(
    "statements",
    [
        ("x, y = fork(image)", "output result = x"),
        ("x = conv2d(image, 8)", "output result = x"),
        ("maps = [relu(image), relu6(image)]", "output result = concat(maps)"),
    ],
)
def test_what_is_read_or_one_of_several_values_is_fine(statements: tuple[str, ...]) -> None:
    assert warnings(*statements) == []


def test_errors_come_alone() -> None:
    found = check_text(HEAD + "  y = relu(image)\n  output result = reluu(image)\n}\n")
    assert [each.code for each in found] == ["MN0203"]
