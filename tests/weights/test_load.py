"""Weight files: what fits is read exactly, what does not fit is listed in one go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from mnetdsl.diagnostics import Diagnostic, MnetError
from mnetdsl.ir.core import Module
from mnetdsl.sema import build
from mnetdsl.source import SourceFile
from mnetdsl.weights import WeightsWarning, load_weights, save_weights
from tests.weights.conftest import NETWORK, Arrays

SUFFIXES = (".safetensors", ".npz")


def refused(module: Module, path: Path) -> dict[str, Diagnostic]:
    """Diagnostics by code of a file that cannot be used."""
    with pytest.raises(MnetError) as failure:
        load_weights(module, path)
    for diagnostic in failure.value.diagnostics:
        assert diagnostic.location == str(path)
        assert diagnostic.help
    return {diagnostic.code: diagnostic for diagnostic in failure.value.diagnostics}


def saved(folder: Path, arrays: Arrays, suffix: str = ".safetensors") -> Path:
    path = folder / f"net{suffix}"
    save_weights(path, arrays)
    return path


def text(diagnostic: Diagnostic) -> str:
    return "\n".join((diagnostic.message, *diagnostic.help, *diagnostic.notes))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_saved_is_loaded_bit_for_bit(module: Module, weights: Arrays, tmp_path: Path, suffix: str) -> None:
    found = load_weights(module, saved(tmp_path, weights, suffix))
    assert found.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_arrays_give_equal_bytes_in_any_order(weights: Arrays, tmp_path: Path, suffix: str) -> None:
    first = saved(tmp_path, weights, suffix).read_bytes()
    second = saved(tmp_path, dict(reversed(weights.items())), suffix).read_bytes()
    assert first == second


def test_the_safetensors_package_reads_what_we_write(weights: Arrays, tmp_path: Path) -> None:
    found = safetensors.numpy.load_file(saved(tmp_path, weights))
    assert found.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


def test_we_read_what_the_safetensors_package_writes(module: Module, weights: Arrays, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(weights, path, metadata={"epoch": "7"})
    found = load_weights(module, path)
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


def test_numpy_reads_what_we_write_and_we_read_compressed_archives(
    module: Module, weights: Arrays, tmp_path: Path
) -> None:
    with np.load(saved(tmp_path, weights, ".npz")) as archive:
        assert set(archive.files) == set(weights)
    np.savez_compressed(tmp_path / "small.npz", allow_pickle=False, **weights)
    found = load_weights(module, tmp_path / "small.npz")
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


def test_arrays_in_fortran_order_and_big_endian_keep_their_values(
    module: Module, weights: Arrays, tmp_path: Path
) -> None:
    turned = {name: np.asfortranarray(array.astype(">f4")) for name, array in weights.items()}
    np.savez(tmp_path / "net.npz", allow_pickle=False, **turned)
    found = load_weights(module, tmp_path / "net.npz")
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.float32


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_float16_is_widened_exactly(module: Module, weights: Arrays, tmp_path: Path, suffix: str) -> None:
    half: Arrays = {name: array.astype(np.float16) for name, array in weights.items()}
    found = load_weights(module, saved(tmp_path, half, suffix))
    for name, array in half.items():
        np.testing.assert_array_equal(found[name], array.astype(np.float32))


def test_bfloat16_is_widened_exactly(module: Module, weights: Arrays, tmp_path: Path) -> None:
    path = saved(tmp_path, {name: (array.view(np.uint32) >> 16).astype(np.int16) for name, array in weights.items()})
    path.write_bytes(path.read_bytes().replace(b'"I16"', b'"BF16"', 1).replace(b'"I16"', b'"BF16"'))
    data = path.read_bytes()
    header = data[8 : data.rindex(b"}}") + 2]
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[data.rindex(b"}}") + 2 :].lstrip(b" "))
    found = load_weights(module, path)
    for name, array in weights.items():
        expected = (array.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        np.testing.assert_array_equal(found[name], expected)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_float64_is_rounded_with_a_warning(module: Module, weights: Arrays, tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path, {name: array.astype(np.float64) + 1e-12 for name, array in weights.items()}, suffix)
    with pytest.warns(WeightsWarning, match="MN0712") as caught:
        found = load_weights(module, path)
    assert len(caught) == 1
    for name, array in weights.items():
        np.testing.assert_allclose(found[name].astype(np.float64), array.astype(np.float64), rtol=1e-6, atol=1e-11)
        assert found[name].dtype == np.float32


def test_missing_surplus_and_misshapen_tensors_are_all_reported(
    module: Module, weights: Arrays, tmp_path: Path
) -> None:
    arrays = dict(weights)
    del arrays["stem.norm.bias"]
    arrays["classifier.bias"] = np.zeros(7, np.float32)
    arrays["other.weight"] = np.zeros((2, 3), np.float32)
    arrays["another.weight"] = np.zeros(4, np.float32)
    problems = refused(module, saved(tmp_path, arrays))
    assert problems.keys() == {"MN0702", "MN0703", "MN0704"}
    assert "stem.norm.bias" in text(problems["MN0702"])
    assert "other.weight" in text(problems["MN0703"])
    assert "2x3" in text(problems["MN0703"])
    assert "needs 5, the file has 7" in text(problems["MN0704"])


def test_a_misspelt_name_is_paired_with_the_missing_one_and_said_once(
    module: Module, weights: Arrays, tmp_path: Path
) -> None:
    arrays = dict(weights)
    arrays["stem.conv.weights"] = arrays.pop("stem.conv.weight")
    problems = refused(module, saved(tmp_path, arrays))
    assert problems.keys() == {"MN0702"}
    assert "the file has `stem.conv.weights`" in text(problems["MN0702"])


def test_a_common_prefix_is_recognized(module: Module, weights: Arrays, tmp_path: Path) -> None:
    problems = refused(module, saved(tmp_path, {f"module.{name}": array for name, array in weights.items()}))
    assert problems.keys() == {"MN0702"}
    assert "begin with `module.`" in text(problems["MN0702"])


def test_long_lists_are_cut_and_counted(module: Module, tmp_path: Path) -> None:
    problem = refused(module, saved(tmp_path, {}))["MN0702"]
    assert problem.notes[-1] == f"and {len(list(module.graph.constants())) - 12} more"


def test_pytorch_layouts_are_recognized(module: Module, weights: Arrays, tmp_path: Path) -> None:
    arrays = dict(weights)
    arrays["stem.conv.weight"] = weights["stem.conv.weight"].transpose(3, 2, 0, 1)
    arrays["body.depthwise.conv.weight"] = weights["body.depthwise.conv.weight"].transpose(2, 3, 0, 1)
    arrays["classifier.weight"] = weights["classifier.weight"].T
    notes = refused(module, saved(tmp_path, arrays))["MN0704"].notes
    assert len(notes) == 3
    for note, order in zip(notes, ("(2, 3, 1, 0)", "(2, 3, 0, 1)", "(1, 0)"), strict=True):
        assert "turn it into" in note
        assert f"`transpose{order}`" in note
        name = note.split()[0]
        axes = tuple(int(axis) for axis in order.strip("()").split(","))
        assert arrays[name].transpose(axes).shape == weights[name].shape


def test_another_width_suggests_the_parameters(module: Module, tmp_path: Path) -> None:
    wider = build(SourceFile("net.mnet", NETWORK.replace("classes: int = 5", "classes: int = 9"))).module
    problem = refused(module, saved(tmp_path, load_weights(wider, "random:1")))["MN0704"]
    assert "--set" in problem.help[0]
    assert len(problem.notes) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8"])
def test_whole_numbers_are_no_float_weights(
    module: Module, weights: Arrays, tmp_path: Path, suffix: str, dtype: str
) -> None:
    arrays = dict(weights)
    arrays["stem.conv.weight"] = np.ones(weights["stem.conv.weight"].shape, dtype)
    problems = refused(module, saved(tmp_path, arrays, suffix))
    assert problems.keys() == {"MN0705"}
    assert "stem.conv.weight" in text(problems["MN0705"])


def test_element_types_of_numpy_without_meaning_are_refused(module: Module, weights: Arrays, tmp_path: Path) -> None:
    for dtype in (np.complex64, np.bool_, "U3"):
        arrays = dict(weights)
        arrays["stem.conv.weight"] = np.zeros(weights["stem.conv.weight"].shape, dtype)
        np.savez(tmp_path / "net.npz", allow_pickle=True, **arrays)
        assert refused(module, tmp_path / "net.npz").keys() == {"MN0705"}


def test_counters_of_pytorch_are_ignored(module: Module, weights: Arrays, tmp_path: Path) -> None:
    arrays = {**weights, "stem.norm.num_batches_tracked": np.array(7, np.int64)}
    assert load_weights(module, saved(tmp_path, arrays)).keys() == weights.keys()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named_with_their_index(
    module: Module, weights: Arrays, tmp_path: Path, suffix: str, value: float
) -> None:
    arrays = {name: array.copy() for name, array in weights.items()}
    arrays["stem.conv.weight"][1, 2, 0, 3] = value
    arrays["stem.conv.weight"][2, 2, 0, 3] = value
    arrays["classifier.bias"][4] = value
    problem = refused(module, saved(tmp_path, arrays, suffix))["MN0706"]
    assert f"stem.conv.weight  {value} at [1, 2, 0, 3], and 1 more" in problem.notes
    assert f"classifier.bias  {value} at [4]" in problem.notes


def test_a_float64_beyond_float32_is_not_finite(module: Module, weights: Arrays, tmp_path: Path) -> None:
    arrays = {**weights, "classifier.bias": np.full(5, 1e300)}
    assert refused(module, saved(tmp_path, arrays)).keys() == {"MN0706"}


def test_negative_variances_are_refused(module: Module, weights: Arrays, tmp_path: Path) -> None:
    arrays = {name: array.copy() for name, array in weights.items()}
    arrays["stem.norm.running_var"][3] = -0.5
    problem = refused(module, saved(tmp_path, arrays))["MN0707"]
    assert problem.notes == ("stem.norm.running_var  -0.5 at [3]",)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("net.pth", "safetensors.torch.save_file"),
        ("net.h5", "numpy.savez"),
        ("net.safetensor", "`.safetensors`"),
        ("net", "convert"),
    ],
)
def test_another_format_says_how_to_convert(module: Module, tmp_path: Path, name: str, hint: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x80\x02content")
    problem = refused(module, path)["MN0709"]
    assert hint in text(problem)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_and_a_folder_are_told_apart(module: Module, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"")
    assert "empty" in refused(module, path)["MN0708"].message
    (tmp_path / f"folder{suffix}").mkdir()
    assert refused(module, tmp_path / f"folder{suffix}").keys() == {"MN0904"}
    assert refused(module, tmp_path / f"nothing{suffix}").keys() == {"MN0901"}


def test_an_unknown_suffix_cannot_be_saved(weights: Arrays, tmp_path: Path) -> None:
    with pytest.raises(MnetError) as failure:
        save_weights(tmp_path / "net.pth", weights)
    assert failure.value.diagnostics[0].code == "MN0709"
    assert list(tmp_path.iterdir()) == []
