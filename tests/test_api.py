"""The Python API: what its methods add to the parts that they call, which have tests of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnetdsl
from mnetdsl.diagnostics import MnetError

TEXT = """mnet 1

model tiny(channels: int = 4) {
  input image: u8[6, 6, 3] { color = rgb, mean = 127.5, std = 127.5 }
  x = conv2d(image, channels, kernel = 3) as stem
  output logits = dense(global_avg_pool(x), 5)
}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> mnetdsl.Network:
    path = tmp_path / "tiny.mnet"
    path.write_text(TEXT, encoding="utf-8")
    return mnetdsl.load(path, channels=8).with_weights("random:1")


def test_a_network_shows_itself_in_one_line(tiny: mnetdsl.Network) -> None:
    assert repr(tiny) == "<Network tiny of tiny.mnet, channels=8>"


def test_an_array_in_place_of_inputs_by_name_is_refused_with_the_right_call(tiny: mnetdsl.Network) -> None:
    images: Any = np.zeros((1, 6, 6, 3), np.uint8)
    with pytest.raises(MnetError) as caught:
        tiny.run(images)
    (problem,) = caught.value.diagnostics
    assert problem.code == "MN0620"
    assert problem.help == ('write `run({"image": …})`',)


def test_a_list_in_place_of_an_array_is_refused_with_what_makes_one(tiny: mnetdsl.Network) -> None:
    pixels: Any = [[[0, 0, 0]] * 6] * 6
    with pytest.raises(MnetError) as caught:
        tiny.run({"image": pixels})
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.message.endswith("given is no array but list")) == ("MN0621", True)


@pytest.mark.parametrize("channels", [np.int64(6), np.array(6), 6])
def test_parameters_may_be_numbers_of_numpy(tmp_path: Path, channels: Any) -> None:
    (tmp_path / "tiny.mnet").write_text(TEXT)
    assert repr(mnetdsl.load(tmp_path, channels=channels)) == "<Network tiny of tiny.mnet, channels=6>"
    assert mnetdsl.check(tmp_path, channels=channels) == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "`channels` cannot be set to an object"),
        (np.zeros(3), "`channels` cannot be set to a ndarray"),
        ([1], "`channels` of model `tiny` must be int, got list [1]"),
    ],
)
def test_what_no_parameter_can_be_is_refused(tmp_path: Path, value: Any, message: str) -> None:
    (tmp_path / "tiny.mnet").write_text(TEXT)
    with pytest.raises(MnetError) as caught:
        mnetdsl.load(tmp_path, channels=value)
    assert [problem.message for problem in caught.value.diagnostics] == [message]


def test_validation_takes_inputs_and_a_tolerance(tiny: mnetdsl.Network) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), np.uint8)
    report = tiny.validate(["numpy"], inputs={"image": images}, tolerance=0.5)
    assert report.agrees
    assert report.inputs == ("input 1", "input 2")
    assert report.tolerance == 0.5


def test_validation_takes_one_backend_by_its_name(tiny: mnetdsl.Network) -> None:
    assert [backend.name for backend in tiny.validate("numpy").backends] == ["numpy"]


def test_numbers_of_the_text_need_no_weight_file(tmp_path: Path) -> None:
    path = tmp_path / "scaled.mnet"
    path.write_text("mnet 1\nmodel scaled() {\n  input x: f32[4]\n  output y = 1 - x * [1, 2, 3, 4]\n}\n")
    network = mnetdsl.load(path)
    x = np.array([[1, 1, 1, 1], [2, 0, 1, -1]], np.float32)
    np.testing.assert_array_equal(network.run({"x": x})["y"], [[0, -1, -2, -3], [-1, 1, -2, 5]])
    assert network.validate(["numpy"]).agrees


def test_numbers_of_the_text_stay_beside_loaded_weights(tmp_path: Path) -> None:
    path = tmp_path / "shifted.mnet"
    path.write_text("mnet 1\nmodel shifted() {\n  input x: f32[4]\n  output y = dense(x + 0.5, 3) * 2\n}\n")
    network = mnetdsl.load(path).with_weights("random:1")
    x = np.array([[1, 2, 3, 4]], np.float32)
    weight, bias = (network.module.resources[f"dense.{name}"].astype(np.float32) for name in ("weight", "bias"))
    found = network.run({"x": x})["y"].astype(np.float32)
    np.testing.assert_allclose(found, ((x + 0.5) @ weight + bias) * 2, rtol=1e-5)
