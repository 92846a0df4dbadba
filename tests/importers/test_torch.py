"""What `torch.save` itself writes is read as `torch.load` reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mnetdsl.importers.checkpoint import read_checkpoint

pytestmark = pytest.mark.torch


def test_every_kind_of_tensor_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(4, 6, generator=generator)
    tensors = {
        "plain.weight": base,
        "view.weight": base[1:3, 2:],
        "transposed.weight": base.t(),
        "parameter.weight": torch.nn.Parameter(base.clone()),
        "half.weight": base.half(),
        "bfloat16.weight": base.bfloat16(),
        "double.weight": base.double(),
        "channels_last.weight": torch.randn(2, 3, 4, 5, generator=generator).to(memory_format=torch.channels_last),
        "scalar.weight": torch.tensor(3.0),
        "empty.weight": torch.zeros(0, 3),
    }
    path = tmp_path / "net.pth"
    torch.save({"model": tensors, "epoch": 3, "rng": torch.get_rng_state()}, path)
    entries = read_checkpoint(path).entries
    assert set(entries) == set(tensors)
    for name, tensor in tensors.items():
        read = entries[name].read
        assert read is not None
        expected = tensor.detach().double() if tensor.dtype == torch.float64 else tensor.detach().float()
        np.testing.assert_array_equal(read(), expected.numpy(), err_msg=name)


def test_a_state_dict_of_modules_and_its_metadata(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    checkpoint = read_checkpoint(tmp_path / "net.pt")
    assert checkpoint.counters == ("1.num_batches_tracked",)
    assert set(checkpoint.entries) == {"0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var"}


def test_the_old_format_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from mnetdsl.diagnostics import MnetError

    torch.save({"a.weight": torch.zeros(3)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(MnetError, match="MN1501"):
        read_checkpoint(tmp_path / "old.pth")
