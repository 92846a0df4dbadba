"""Batch normalization into the layer before, the layer behind, or neither."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.ir.core import Module
from mnetdsl.ir.ops.conv2d import Conv2d
from mnetdsl.passes.dead_code import DeadCode
from mnetdsl.passes.derive import materialize
from mnetdsl.passes.fold_batch_norm import FoldBatchNorm
from tests.passes.helpers import LayerMaker, assert_same_results, only, opcodes, passed

FOLD = FoldBatchNorm()


@pytest.mark.parametrize("bias", [False, True])
def test_into_a_convolution(bias: bool) -> None:
    maker = LayerMaker()
    x = maker.conv("stem.conv", maker.input(7, 6, 3), 5, kernel=3, bias=bias, padding=(1, 1, 1, 1), strides=(2, 1))
    module, remarks = passed(maker.output(maker.norm("stem.norm", x)), FOLD)
    assert opcodes(module) == ["conv2d"]
    assert remarks == ["fold-batch-norm: folded `stem.norm` into `stem.conv` (net.mnet:2)"]
    assert only(module, "conv2d").name == "stem.conv"


@pytest.mark.parametrize("multiplier", [1, 2, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_into_a_depthwise_convolution_with_channels_c_times_m(multiplier: int, bias: bool) -> None:
    maker = LayerMaker()
    x = maker.depthwise("dw", maker.input(6, 6, 4), multiplier, bias=bias, padding=(1, 1, 1, 1), dilations=(2, 1))
    module, _ = passed(maker.output(maker.norm("norm", x)), FOLD)
    assert opcodes(module) == ["depthwise_conv2d"]


def test_into_a_dense_layer() -> None:
    maker = LayerMaker()
    module, _ = passed(maker.output(maker.norm("norm", maker.dense("fc", maker.input(9), 4))), FOLD)
    assert opcodes(module) == ["dense"]


def test_two_norms_in_a_row_are_rounded_once() -> None:
    maker = LayerMaker()
    x = maker.conv("conv", maker.input(3, 3, 4), 4)
    original = maker.output(maker.norm("second", maker.norm("first", x)))
    module, _ = passed(original, FOLD)
    assert opcodes(module) == ["conv2d"]

    def factor(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        scale, variance = (original.resources[f"{name}.{key}"].astype(np.float64) for key in ("weight", "running_var"))
        return scale / np.sqrt(variance + 1e-3)

    exact = original.resources["conv.weight"].astype(np.float64) * factor("first") * factor("second")
    folded = only(module, "conv2d")
    assert isinstance(folded, Conv2d)
    assert folded.filter.producer is not None
    array = module.resources[str(folded.filter.producer.attributes["resource"])]
    assert np.array_equal(array, exact.astype(np.float32))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d", "dense"])
def test_into_the_layer_behind_where_it_does_not_pad(kind: str, bias: bool) -> None:
    maker = LayerMaker()
    if kind == "dense":
        result = maker.dense("fc", maker.norm("norm", maker.input(6)), 4, bias=bias, activation="relu")
    else:
        x = maker.norm("norm", maker.op("relu", maker.input(6, 6, 3)))
        result = (
            maker.conv("conv", x, 5, kernel=3, bias=bias, strides=(2, 2), activation="relu6")
            if kind == "conv2d"
            else maker.depthwise("dw", x, 2, bias=bias)
        )
    module, _ = passed(maker.output(result), FOLD)
    assert "batch_norm" not in opcodes(module)
    assert kind in opcodes(module)


def test_not_into_a_layer_behind_that_pads() -> None:
    maker = LayerMaker()
    x = maker.norm("norm", maker.input(6, 6, 3))
    module, remarks = passed(maker.output(maker.conv("conv", x, 5, kernel=3, padding=(0, 1, 0, 1))), FOLD)
    assert opcodes(module) == ["batch_norm", "conv2d"]
    assert remarks == [
        "fold-batch-norm: not folded `norm`: an input of the model in front; "
        "`conv` behind pads with zeros, which the norm would shift (net.mnet:1)"
    ]


def test_through_a_pad_of_zeros_behind_a_pointwise_layer() -> None:
    maker = LayerMaker()
    x = maker.op("pad", maker.conv("conv", maker.input(4, 5, 3), 6), padding=(1, 2, 0, 1))
    module, remarks = passed(maker.output(maker.norm("norm", x)), FOLD)
    assert opcodes(module) == ["pad", "conv2d"]
    assert remarks == ["fold-batch-norm: folded `norm` into `conv` (net.mnet:3)"]


@pytest.mark.parametrize("case", ["kernel", "bias", "value", "uses"])
def test_not_through_a_pad_where_the_border_would_differ(case: str) -> None:
    maker = LayerMaker()
    conv = maker.conv("conv", maker.input(5, 5, 3), 6, kernel=3 if case == "kernel" else 1, bias=case == "bias")
    x = maker.op("pad", conv, padding=(1, 1, 1, 1), value=1.0 if case == "value" else 0.0)
    if case == "uses":
        maker.output(x, "pad")
    module, _ = passed(maker.output(maker.norm("norm", x)), FOLD)
    assert opcodes(module) == ["conv2d", "pad", "batch_norm"]


def built(case: str) -> tuple[Module, str]:
    """A norm that must stay, and the reason in its remark."""
    maker = LayerMaker()
    image = maker.input(4, 4, 3)
    if case == "activation":
        x, why = maker.conv("conv", image, 3, activation="relu"), "`conv` applies relu first"
    elif case == "two uses":
        x = maker.conv("conv", image, 3)
        maker.output(maker.op("relu", x), "other")
        why = "the result of `conv` must stay: 2 uses"
    elif case == "output":
        x = maker.conv("conv", image, 3)
        maker.output(x, "other")
        why = "the result of `conv` must stay: it is an output"
    elif case == "residual":
        x = maker.conv("conv", image, 3)
        operands = {"input": image, "filter": maker.random_constant("w", 1, 1, 3, 3), "residual": x}
        x = maker.builder.add(Conv2d, maker.place("sum"), operands).result
        why = "`sum` adds a residual first"
    elif case == "computed weights":
        shared = maker.op("relu", maker.random_constant("w", 1, 1, 3, 3))
        x = maker.conv("conv", image, 3, weight=shared)
        why = "the weights of `conv` are computed"
    else:
        x, why = maker.op("add", image, image), "`add` in front has no weights"
    return maker.output(maker.norm("norm", x)), why


@pytest.mark.parametrize("case", ["activation", "two uses", "output", "residual", "computed weights", "no weights"])
def test_what_keeps_a_norm_has_a_remark(case: str) -> None:
    original, why = built(case)
    module, remarks = passed(original, FOLD)
    assert "batch_norm" in opcodes(module)
    (remark,) = remarks
    assert remark.startswith(f"fold-batch-norm: not folded `norm`: {why}; behind, it is an output (net.mnet:")


def test_a_norm_with_computed_statistics_stays() -> None:
    maker = LayerMaker()
    x = maker.conv("conv", maker.input(3, 3, 2), 2)
    statistics = {name: maker.random_constant(name, 2) for name in ("offset", "mean")}
    ones = maker.constant("ones", np.ones(2, np.float32))
    from mnetdsl.ir.ops.batch_norm import BatchNorm

    computed = maker.op("relu", ones)
    operands = {"input": x, "scale": ones, "variance": computed, **statistics}
    module, remarks = passed(maker.output(maker.builder.add(BatchNorm, maker.place("norm"), operands).result), FOLD)
    assert "batch_norm" in opcodes(module)
    assert remarks == ["fold-batch-norm: not folded `norm`: its statistics are computed (net.mnet:3)"]


def test_weights_shared_by_two_layers_are_not_scaled_for_both() -> None:
    maker = LayerMaker()
    image = maker.input(4, 4, 3)
    shared = maker.random_constant("shared.weight", 1, 1, 3, 5)
    normed = maker.norm("norm", maker.conv("first", image, 5, weight=shared))
    plain = maker.conv("second", image, 5, weight=shared)
    third = maker.norm("norm3", maker.conv("third", image, 5, weight=shared))
    maker.output(normed, "normed")
    maker.output(third, "third")
    before = maker.module.resources["shared.weight"].copy()
    module, _ = passed(maker.output(plain, "plain"), FOLD, DeadCode())
    assert opcodes(module) == ["conv2d", "conv2d", "conv2d"]
    assert np.array_equal(module.resources["shared.weight"], before)
    assert {"first.weight.folded", "third.weight.folded"} <= set(module.resources)


def test_two_layers_of_no_name_get_arrays_of_their_own() -> None:
    maker = LayerMaker()
    image = maker.input(4, 4, 3)
    shared = maker.random_constant("w.weight", 1, 1, 3, 5)
    for number in range(2):
        x = maker.norm(f"norm{number}", maker.conv("", image, 5, weight=shared))
        maker.output(x, f"result{number}")
    module, _ = passed(maker.module, FOLD)
    assert [name for name in module.derived if "weight" in name] == ["w.weight.folded", "w.weight.folded.2"]


def without_weights(original: Module) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    arrays = dict(original.resources)
    original.resources.clear()
    return arrays


def test_folding_needs_no_weights_and_they_may_be_loaded_later() -> None:
    maker = LayerMaker()
    x = maker.norm("norm", maker.conv("conv", maker.input(4, 4, 3), 5, bias=True))
    original = maker.output(maker.norm("norm2", maker.dense("fc", maker.op("global_avg_pool", x), 4)))
    arrays = without_weights(original)
    from mnetdsl.ir.clone import clone
    from mnetdsl.passes.pass_manager import run_passes

    folded = clone(original)
    run_passes(folded, [FOLD])
    assert opcodes(folded) == ["conv2d", "global_avg_pool", "dense"]
    assert folded.resources == {}
    assert {name: type.shape for name, type in folded.required().items()} == {
        name: array.shape for name, array in arrays.items()
    }
    original.resources.update(arrays)
    folded.resources.update(arrays)
    materialize(folded)
    assert_same_results(original, folded)
