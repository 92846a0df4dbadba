"""The MLIR text: what it carries, and that it depends on nothing but the network."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from mnetdsl.backends import iree
from mnetdsl.backends.iree import emission
from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.core import Module
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops.unary import Relu
from tests.backends.iree.harness import all_operations, small_module
from tests.graphs import GraphMaker


def emit(module: Module, observe: Sequence[str] = ()) -> str:
    """On linalg alone."""
    return emission.emit(module, observe).text


def without_weights(text: str) -> str:
    return text.partition("{-#")[0]


def relu_at(location: Location) -> Module:
    maker = GraphMaker("net")
    return maker.output(maker.builder.add(Relu, location, {"input": maker.input(3)}).result)


def test_each_operation_carries_its_layer_and_line() -> None:
    text = emit(relu_at(Location("body.3.act", "net.mnet", 12, 7)))
    place = re.search(r'(#loc\d*) = loc\("net\.mnet":12:7\)', text)
    assert place
    layer = re.search(rf'(#loc\d*) = loc\("body\.3\.act"\({place[1]}\)\)', text)
    assert layer
    assert re.search(rf"arith\.maximumf .* loc\({layer[1]}\)", text)


def test_the_folder_of_the_network_leaves_no_trace() -> None:
    texts = {emit(relu_at(Location("act", f"{folder}net.mnet", 1, 1))) for folder in ("", "/home/me/", "a/b/")}
    assert len(texts) == 1


def test_the_same_module_gives_the_same_text() -> None:
    assert emit(all_operations()) == emit(all_operations())


def test_u8_becomes_signless_and_is_widened_without_a_sign() -> None:
    text = without_weights(emit(small_module()))
    assert "tensor<1x4x4x3xi8>" in text
    assert "arith.uitofp" in text
    assert "ui8" not in text


def test_an_array_that_two_layers_share_stands_in_the_module_once() -> None:
    maker = GraphMaker()
    first = maker.random_constant("shared", 1, 2, 2, 3)
    second = maker.builder.constant("shared", (1, 2, 2, 3))
    maker.output(first, "a")
    text = emit(maker.output(second, "b"))
    weights = text[text.index("{-#") :]
    assert weights.count("shared") == 1
    assert without_weights(text).count("dense_resource<shared>") == 2


def test_weights_are_the_very_bits_of_the_resources() -> None:
    maker = GraphMaker()
    values = np.array([[1.5, -0.0, np.pi, 1e-42]], np.float32)
    text = emit(maker.output(maker.constant("w", values)))
    assert f'w: "0x40000000{values.tobytes().hex().upper()}"' in text


def test_observed_layers_are_results_behind_the_outputs() -> None:
    module = small_module()
    stem = module.graph.operations[2].name
    signature = re.compile(r"func\.func @main\(.*\) -> (.*) \{")
    assert signature.findall(emit(module)) == ["tensor<1x4xf32>"]
    assert signature.findall(emit(module, [stem])) == ["(tensor<1x4xf32>, tensor<1x2x2x4xf32>)"]


def test_a_layer_that_does_not_exist_is_named() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        emit(small_module(), ["nowhere"])


@pytest.mark.parametrize(("arrays", "code"), [({}, "MN0720"), ({"w": np.zeros((3, 3), np.float32)}, "MN0721")])
def test_weights_that_are_missing_or_do_not_fit_are_refused(arrays: dict[str, np.ndarray], code: str) -> None:
    maker = GraphMaker()
    module = maker.output(maker.random_constant("w", 1, 4))
    module.resources.clear()
    module.resources.update(arrays)
    with pytest.raises(MnetError) as refused:
        iree.emit(module)
    assert [diagnostic.code for diagnostic in refused.value.diagnostics] == [code]
    assert "`w`" in refused.value.diagnostics[0].message
