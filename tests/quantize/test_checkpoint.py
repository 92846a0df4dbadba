"""An interrupted quantization is continued, and ends in the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnetdsl.quantize.quantizer import Settings
from tests.quantize.networks import network, pictures


class StopError(Exception):
    """Stands for Ctrl-C."""


@pytest.mark.parametrize("settings", [Settings(), Settings(widest=2)])
def test_what_was_found_is_not_found_again(tmp_path: Path, settings: Settings) -> None:
    net = network(tmp_path / "float")
    whole = net.quantize(pictures(4), tmp_path / "whole", settings=settings)
    stages: list[str] = []

    def interrupt(stage: str, share: float) -> None:
        stages.append(stage)
        if stages.count("rounding weights") == 8:
            raise StopError

    partial = tmp_path / "int8" / "net_int8.partial.npz"
    with pytest.raises(StopError):
        net.quantize(pictures(4), tmp_path / "int8", settings=settings, progress=interrupt)
    assert partial.exists()
    again: list[str] = []
    done = net.quantize(
        pictures(4), tmp_path / "int8", settings=settings, progress=lambda stage, share: again.append(stage)
    )
    assert "observing" in stages
    assert set(again) == {"rounding weights"}
    assert done.files == whole.files
    assert list(done.found.costs.items()) == list(whole.found.costs.items())
    assert not partial.exists()


def test_other_images_start_anew(tmp_path: Path) -> None:
    net = network(tmp_path / "float")

    def interrupt(stage: str, share: float) -> None:
        if stage == "rounding weights":
            raise StopError

    with pytest.raises(StopError):
        net.quantize(pictures(4), tmp_path / "int8", progress=interrupt)
    stages: list[str] = []
    net.quantize(pictures(4, seed=9), tmp_path / "int8", progress=lambda stage, share: stages.append(stage))
    assert "observing" in stages


def test_a_damaged_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "int8").mkdir()
    (tmp_path / "int8" / "net_int8.partial.npz").write_bytes(b"PK\x03\x04 nothing")
    assert network(tmp_path / "float").quantize(pictures(2), tmp_path / "int8").files


def test_what_another_version_found_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(tmp_path / "float")

    def interrupt(stage: str, share: float) -> None:
        if stage == "rounding weights":
            raise StopError

    with monkeypatch.context() as before:
        before.setattr("mnetdsl.quantize.checkpoint.__version__", "0.0.0")
        with pytest.raises(StopError):
            net.quantize(pictures(2), tmp_path / "int8", progress=interrupt)
    again: list[str] = []
    net.quantize(pictures(2), tmp_path / "int8", progress=lambda stage, share: again.append(stage))
    assert "observing" in again
