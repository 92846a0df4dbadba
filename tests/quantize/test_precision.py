"""Named tensors, or the costliest ones, get 16 bits; where an operation takes one width they cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mnetdsl
from mnetdsl.diagnostics import MnetError
from mnetdsl.ir.types import ElementType
from mnetdsl.quantize.apply import quantizable
from mnetdsl.quantize.choose import choose_storages
from mnetdsl.quantize.observe import observe
from mnetdsl.quantize.quantizer import Settings
from mnetdsl.quantize.sensitivity import sensitivity
from tests.quantize.networks import network, pictures
from tests.quantize.test_network import logits, sqnr


@pytest.mark.parametrize("wide", [{"last"}, {"middle.expand.conv", "middle.depthwise.conv"}])
def test_tensors_of_16_bits_stand_among_those_of_8(tmp_path: Path, wide: set[str]) -> None:
    net = network(tmp_path / "float")
    net.quantize(pictures(8), tmp_path / "int8", settings=Settings(wide=frozenset(wide)))
    written = mnetdsl.load(tmp_path / "int8").with_weights()
    stored = {op.name for op in written.module.graph.operations if op.type.element is ElementType.I16}
    assert wide <= stored
    unseen = np.concatenate(pictures(8, seed=1))
    assert sqnr(logits(net, unseen), logits(written, unseen)) > 22.0


def test_a_tensor_that_a_sum_reads_keeps_8_bits(tmp_path: Path) -> None:
    with pytest.raises(MnetError) as caught:
        network(tmp_path / "float").quantize(pictures(2), settings=Settings(wide=frozenset({"stem.conv"})))
    assert caught.value.diagnostics[0].code == "MN1813"
    assert "`add` of `middle.add`" in caught.value.diagnostics[0].message


def test_the_costliest_tensors_are_those_whose_noise_reaches_the_outputs(tmp_path: Path) -> None:
    net = network(tmp_path / "float")
    module = quantizable(net.module)
    batch = {"image": np.concatenate(pictures(4))}
    statistics = observe(module, [batch])
    storages = {name: item.storage for name, item in choose_storages(module, statistics, [batch]).items()}
    costs = sensitivity(module, storages, batch)
    assert set(costs) == set(storages)
    assert all(cost > 0.0 for name, cost in costs.items() if name != "image")
    found = net.quantize([batch["image"]], settings=Settings(widest=2)).found
    assert len(found.costs) == 2
    wide = {name for name, item in found.chosen.items() if item.storage.element is ElementType.I16}
    assert wide == set(found.costs)


def test_more_bits_where_it_costs_most_bring_the_outputs_nearer(tmp_path: Path) -> None:
    net = network(tmp_path / "float")
    unseen = np.concatenate(pictures(8, seed=1))
    near = []
    for index, widest in enumerate((0, 4)):
        net.quantize(pictures(8), tmp_path / f"int8_{index}", settings=Settings(widest=widest))
        near.append(sqnr(logits(net, unseen), logits(mnetdsl.load(tmp_path / f"int8_{index}").with_weights(), unseen)))
    assert near[1] > near[0]


def test_tensors_that_are_named_do_not_count_among_the_costliest(tmp_path: Path) -> None:
    settings = Settings(wide=frozenset({"last"}), widest=2)
    found = network(tmp_path / "float").quantize(pictures(4), settings=settings).found
    wide = {name for name, item in found.chosen.items() if item.storage.element is ElementType.I16}
    assert len(found.costs) == 2
    assert wide == {"last", *found.costs}
    assert "last" not in found.costs
