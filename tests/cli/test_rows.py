"""`compile --feed rows`, `--on c:rows` and `--fold-constant-channels` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.process import mnet, refused
from tests.toolchain import require

NETWORK = """mnet 1

model tiny() {
  input image: u8[24, 20, 3] { mean = 127.5, std = 127.5 }
  x = conv2d(image, 8, kernel = 3, stride = 2) as stem
  x = depthwise_conv2d(x) as depthwise
  x = relu6(x)
  x = conv2d(x, 12) as pointwise
  x = relu6(x)
  output logits = dense(global_avg_pool(x), 4) as classifier
}
"""
COMPILE = ("compile", "tiny.mnet", "--weights", "random:1", "--target", "host-c", "--format", "json")


def arena(folder: Path, *options: str) -> int:
    result = mnet(*COMPILE, "-o", "out", *options, cwd=folder)
    assert result.returncode == 0, result.stderr
    return int(json.loads(result.stdout)["arena"]["bytes"])


def test_rows_take_less_of_an_arena_and_are_held_to_its_budget(tmp_path: Path) -> None:
    (tmp_path / "tiny.mnet").write_text(NETWORK)
    whole, rows = arena(tmp_path), arena(tmp_path, "--feed", "rows")
    assert rows < whole
    assert "tiny_feed_rows" in (tmp_path / "out" / "tiny.h").read_text()
    assert arena(tmp_path, "--feed", "rows", "--ram", str(rows)) == rows
    refused(mnet(*COMPILE, "-o", "no", "--feed", "rows", "--ram", str(rows - 1), cwd=tmp_path), "MN1103", exit_code=3)
    refused(mnet(*COMPILE, "-o", "no", "--ram", str(rows), cwd=tmp_path), "MN1103", exit_code=3)


def test_what_is_too_large_is_said_of_rows_with_their_strips_and_of_whole_images_with_rows_as_a_remedy(
    tmp_path: Path,
) -> None:
    strided = NETWORK.replace("24, 20", "96, 96").replace("conv2d(x, 12)", "conv2d(x, 12, kernel = 3, stride = 4)")
    (tmp_path / "tiny.mnet").write_text(strided)
    by_rows = refused(mnet(*COMPILE, "-o", "no", "--feed", "rows", "--ram", "64", cwd=tmp_path), "MN1103", exit_code=3)
    assert "`strips of rows` (" in by_rows
    assert "--> tiny.mnet:" in by_rows
    assert "--feed rows" not in by_rows
    whole = refused(mnet(*COMPILE, "-o", "no", "--ram", "64", cwd=tmp_path), "MN1103", exit_code=3)
    assert "or feed rows: `mnet compile --feed rows`" in whole


def test_an_iree_module_takes_no_rows(tmp_path: Path) -> None:
    (tmp_path / "tiny.mnet").write_text(NETWORK)
    command = ("compile", "tiny.mnet", "--weights", "random:1", "--target", "iree-cpu", "--feed", "rows", "-o", "out")
    refused(mnet(*command, cwd=tmp_path), "MN1115", exit_code=2)


def test_a_network_of_two_inputs_is_told_so(tmp_path: Path) -> None:
    second = "  input other: f32[4]\n  output more = relu(other)\n}\n"
    (tmp_path / "tiny.mnet").write_text(NETWORK.removesuffix("}\n") + second)
    refused(mnet(*COMPILE, "-o", "out", "--feed", "rows", cwd=tmp_path), "MN1115")
    assert not (tmp_path / "out").exists()


def test_rows_are_validated_on_the_host(tmp_path: Path) -> None:
    require("gcc")
    (tmp_path / "tiny.mnet").write_text(NETWORK)
    result = mnet("validate", "tiny.mnet", "--weights", "random:1", "--on", "c:rows", "--format", "json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["agrees"]


def test_constant_channels_and_layers_as_imported_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "tiny.mnet").write_text(NETWORK)
    command = ("validate", "tiny.mnet", "--weights", "random:1", "--against", "m.tflite", "--fold-constant-channels")
    refused(mnet(*command, cwd=tmp_path), "MN1401", exit_code=2)
