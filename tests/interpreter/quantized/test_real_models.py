"""Every operator of real 8-bit networks, on a photograph and on noise: the bits of the reference kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.real_data import real
from tests.tflite_models import Reference
from tests.tflite_walk import Walk

FAST = ["vww_96_int8", "mobilenet_v1_0.25_224_quant"]
SLOW = [
    "tf2_mobilenet_v2_1.0_224_ptq",
    "mobilenet_v2_1.0_224_quant",
    "mobilenet_v3_small_224_1.0_uint8",
    "mobilenet_v3_small_224_tf2_ptq_int8",
    "coco_ssd_mobilenet_v1_1.0_quant",
    "deeplabv3_mnv2_dm05_pascal_quant",
]
LAYERS = "reference/vww_96_int8_layers"


def photograph(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A photograph, cut or repeated to `shape`, as the input's element."""
    pixels = np.frombuffer(real("reference/bird.rgb").read_bytes(), np.uint8).reshape(224, 224, 3)
    repeated = np.tile(pixels, (-(-shape[1] // 224), -(-shape[2] // 224), 1))[None, : shape[1], : shape[2]]
    if dtype == np.float32:
        return (repeated.astype(np.float32) - 127.5) / np.float32(127.5)
    return repeated if dtype == np.uint8 else (repeated ^ 0x80).view(np.int8)


def compare(name: str) -> int:
    """How many operators of the file were computed; fails at the first that differs."""
    content = real(f"models/{name}.tflite").read_bytes()
    walk, reference = Walk(content), Reference(content)
    interpreter = reference._interpreter
    detail = interpreter.get_input_details()[0]
    shape, dtype = tuple(int(size) for size in detail["shape"]), np.dtype(detail["dtype"])
    noise = photograph(shape, dtype)[:, ::-1].reshape(-1)[np.random.default_rng(1).permutation(int(np.prod(shape)))]
    count = 0
    for x in (photograph(shape, dtype), noise.reshape(shape)):
        reference.run({walk.inputs[0]: x}, [])
        for number, step in enumerate(walk.steps()):
            ours = walk.evaluate(step, interpreter.get_tensor)
            if ours is None:
                continue
            expected = interpreter.get_tensor(step.output)
            different = int((ours.reshape(expected.shape) != expected).sum())
            assert not different, f"{name}, operator {number} ({step.code}): {different} of {expected.size} differ"
            count += 1
    return count


@pytest.mark.parametrize("name", FAST)
def test_every_operator(name: str) -> None:
    assert compare(name) >= 2 * 30


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_operator_of_larger_networks(name: str) -> None:
    assert compare(name) >= 2 * 60


def sequence(seed: int, count: int) -> NDArray[np.uint8]:
    """The bytes of x = x * 1664525 + 1013904223 mod 2^32, its upper 8 bits, from `seed` on."""
    found = np.empty(count, np.uint8)
    for index in range(count):
        seed = (seed * 1664525 + 1013904223) % 2**32
        found[index] = seed >> 24
    return found


@pytest.mark.parametrize("name", ["bird96", "lcg1"])
def test_layers_are_those_of_three_other_engines(name: str) -> None:
    """The outputs of all operators in order, computed one from the other, as TensorFlow Lite Micro's reference kernels
    and CMSIS-NN gave them."""
    walk = Walk(real("models/vww_96_int8.tflite").read_bytes())
    expected = np.fromfile(real(f"{LAYERS}/vww_96_int8.{name}.all_layers.bin"), np.int8)
    given = np.fromfile(real(f"{LAYERS}/bird96.bin"), np.uint8) if name == "bird96" else sequence(1, 96 * 96 * 3)
    interpreter = Reference(real("models/vww_96_int8.tflite").read_bytes())._interpreter
    known = {walk.inputs[0]: given.view(np.int8).reshape(1, 96, 96, 3)}
    results = []
    for step in walk.steps():
        ours = walk.evaluate(step, lambda tensor: known[tensor] if tensor in known else interpreter.get_tensor(tensor))
        assert ours is not None
        known[step.output] = ours
        results.append(ours.reshape(-1))
    np.testing.assert_array_equal(np.concatenate(results), expected)
