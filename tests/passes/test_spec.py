"""Lists of passes as text."""

from __future__ import annotations

from dataclasses import fields

import pytest

from mnetdsl.diagnostics import MnetError
from mnetdsl.passes.catalogue import catalogue
from mnetdsl.passes.dead_code import DeadCode
from mnetdsl.passes.fold_constants import FoldConstants
from mnetdsl.passes.fuse_activation import FuseActivation
from mnetdsl.passes.pipelines import FLOAT, PIPELINES
from mnetdsl.passes.registry import PASSES
from mnetdsl.passes.spec import parse_passes


def test_names_options_and_pipelines() -> None:
    assert parse_passes("dead-code") == (DeadCode(),)
    assert parse_passes(" fuse-activation , fold-constants{ max-elements = 7 },dead-code{}") == (
        FuseActivation(),
        FoldConstants(max_elements=7),
        DeadCode(),
    )
    assert parse_passes("float,dead-code") == (*FLOAT, DeadCode())
    assert parse_passes("none") == ()


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("fold-batchnorm", "MN1011", "there is no pass `fold-batchnorm`"),
        ("", "MN1012", "ends in a comma or is empty"),
        ("dead-code,", "MN1012", "ends in a comma or is empty"),
        ("dead-code;canonicalize", "MN1012", "at `dead-code;canonicalize`"),
        ("dead-code{", "MN1012", "at `dead-code{`"),
        ("dead-code{}{}", "MN1012", "at `dead-code{}{}`"),
        ("float{fast=true}", "MN1012", "the pipeline `float` takes no options"),
        ("fold-constants{max-elements}", "MN1012", "`max-elements` is no option"),
        ("fold-constants{max-element=1}", "MN1012", "has no option `max-element`"),
        ("fold-constants{max-elements=x}", "MN1012", "must be an integer, got `x`"),
        (f"fold-constants{{max-elements={'9' * 9999}}}", "MN1012", "must be an integer"),
        ("dead-code{fast=true}", "MN1012", "has no option `fast`"),
    ],
)
def test_mistakes(text: str, code: str, message: str) -> None:
    with pytest.raises(MnetError) as caught:
        parse_passes(text)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, message in diagnostic.message) == (code, True), diagnostic


def test_an_unknown_pass_gets_a_suggestion() -> None:
    with pytest.raises(MnetError) as caught:
        parse_passes("fold-batchnorm")
    assert caught.value.diagnostics[0].help[0] == "did you mean `fold-batch-norm`?"


@pytest.mark.parametrize("name", sorted(PASSES))
def test_every_pass_reads_back_and_says_what_holds(name: str) -> None:
    kind = PASSES[name]
    assert kind.name == name
    assert parse_passes(str(kind())) == (kind(),)
    assert all(field.default is not None for field in fields(kind))
    assert "Before: " in (kind.__doc__ or "")
    assert "After: " in (kind.__doc__ or "")


def test_options_that_differ_from_the_default_are_spelled() -> None:
    assert str(FoldConstants(max_elements=7)) == "fold-constants{max-elements=7}"
    assert parse_passes(str(FoldConstants(max_elements=7))) == (FoldConstants(max_elements=7),)


def test_the_catalogue_names_every_pass_and_pipeline() -> None:
    text = catalogue()
    assert all(f"  {name}  " in text for name in [*PASSES, *PIPELINES])
    assert "max-elements=1048576" in text
    assert all(len(line) <= 80 for line in text.splitlines())
