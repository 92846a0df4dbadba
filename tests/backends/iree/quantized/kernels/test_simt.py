"""Kernels of scalar invocations on bytes have the interpreter's bits on Vulkan."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from mnetdsl.backends.iree.emission import emit
from mnetdsl.backends.iree.package import generate
from mnetdsl.backends.iree.quantized.kernels.simt_conversions import first_numbers
from mnetdsl.ir.core import Value
from mnetdsl.ir.types import ElementType, Storage
from mnetdsl.numerics.conversions import quantize
from mnetdsl.numerics.grid import Grid
from tests.backends.iree.quantized.cases import CASES, I8, I16, U8, QuantizedMaker, storage
from tests.backends.iree.quantized.kernels.simt_harness import built, differing, extreme

RELU = storage(ElementType.I8, 0.02, -128)
GATE = storage(ElementType.I8, 1 / 256, -128)
OTHER = storage(ElementType.I8, 0.07, 11)
SAME = (1, 1, 1, 1)


def products(m: QuantizedMaker) -> list[Value]:
    """Shapes below a tile, whole tiles and some more; with shifts to the left, a factor of 0, activations, weights of
    nine bits and channels that do not go by four."""
    return [
        m.layer("conv2d", m.fresh(I8, 5, 7, 36), (1, 1, 36, 40), OTHER),
        m.layer("conv2d", m.fresh(I8, 3, 3, 4), (1, 1, 4, 6), RELU, activation="relu"),
        m.layer("conv2d", m.fresh(I8, 4, 8, 64), (1, 1, 64, 32), I8, plain=True, activation="relu6"),
        m.layer("conv2d", m.fresh(U8, 1, 9, 67), (1, 1, 67, 97), U8, scales=1),
        m.layer("dense", m.fresh(I8, 53), (53, 37), I8),
        m.layer("conv2d", m.fresh(U8, 1, 7, 8), (1, 1, 8, 33), U8, plain=True),
    ]


def windows(m: QuantizedMaker) -> list[Value]:
    """Strides, dilations and paddings of both axes, windows larger than the map, a first layer of three channels."""
    wide = (2, 2, 2, 2)
    strided: dict[str, Any] = {"strides": (2, 1), "padding": (0, 1, 2, 0)}
    return [
        m.layer("conv2d", m.fresh(U8, 9, 11, 3), (3, 3, 3, 10), I8, plain=True, strides=(2, 2), padding=(0, 1, 0, 1)),
        m.layer("conv2d", m.fresh(I8, 9, 5, 6), (5, 3, 6, 7), OTHER, padding=wide, dilations=(2, 1)),
        m.layer("conv2d", m.fresh(I8, 7, 6, 8), (1, 1, 8, 9), I8, plain=True, strides=(2, 2)),
        m.layer("depthwise_conv2d", m.fresh(I8, 9, 11, 10), (3, 3, 10, 1), I8, padding=SAME),
        m.layer(
            "depthwise_conv2d", m.fresh(I8, 7, 7, 16), (5, 5, 16, 1), RELU, plain=True, activation="relu", **strided
        ),
        m.layer("depthwise_conv2d", m.fresh(U8, 9, 5, 7), (5, 5, 7, 1), U8, scales=1, strides=(2, 2), padding=wide),
        m.layer("depthwise_conv2d", m.fresh(I8, 2, 3, 12), (7, 7, 12, 1), I8, plain=True, padding=(3, 3, 3, 3)),
        m.layer("depthwise_conv2d", m.fresh(I8, 9, 5, 5), (3, 3, 5, 3), I8, padding=SAME),
        m.layer("depthwise_conv2d", m.fresh(U8, 6, 5, 3), (3, 3, 3, 2), U8, dilations=(2, 2), padding=wide),
    ]


def maps(m: QuantizedMaker) -> list[Value]:
    """What stands between layers with a filter, of any channels."""
    draw = m.random.integers
    x, gates = m.fresh(I8, 4, 5, 6), m.fresh(GATE, 1, 1, 6)
    entries = [draw(-128, 128, shape).astype(np.int8) for shape in ((256,), (6, 256))]
    unsigned = m.fresh(U8, 3, 3, 9)
    return [
        m.op("add", {"left": x, "right": m.fresh(OTHER, 4, 5, 6)}, I8, activation="relu"),
        m.op("sub", {"left": x, "right": m.fresh(OTHER, 4, 5, 6)}, OTHER),
        m.op("sub", {"left": x, "right": gates}, OTHER),
        m.op("mul", {"left": x, "right": m.fresh(OTHER, 4, 5, 6)}, I8),
        m.op("mul", {"left": gates, "right": x}, OTHER, activation="relu6"),
        m.op("add", {"left": unsigned, "right": m.fresh(U8, 3, 3, 9)}, U8),
        *(m.op("lookup", {"input": x, "table": m.held(each)}, GATE) for each in entries),
        m.op("requantize", {"input": x}, U8),
        m.op("hard_swish", {"input": unsigned}, U8),
        m.op("clamp", {"input": x}, OTHER, low=-1.0, high=3.0),
        m.op("global_avg_pool", {"input": x}, OTHER),
        m.op("global_avg_pool", {"input": m.fresh(U8, 9, 10, 17)}, U8),
        m.op("reshape", {"input": x}, None, shape=(1, 8, 15)),
        m.op("reshape", {"input": gates}, None, shape=(1, 6)),
    ]


def test_pointwise_and_dense_layers_have_the_interpreters_bits() -> None:
    wrong, kernels = differing(built(products))
    assert wrong == {}
    assert [str(kernel).split("_")[2] for kernel in kernels.values()] == ["pointwise"] * 4 + ["rows"] * 2


def test_windows_have_the_interpreters_bits() -> None:
    wrong, kernels = differing(built(windows))
    assert wrong == {}
    assert None not in kernels.values()


def test_what_stands_between_them_has_the_interpreters_bits() -> None:
    wrong, kernels = differing(built(maps))
    assert wrong == {}
    assert None not in kernels.values()


def test_every_operation_on_bytes_has_the_interpreters_bits() -> None:
    """The cases of linalg's road: all run by kernels of our own."""
    maker = QuantizedMaker("operations")
    for name, case in CASES.items():
        if name.startswith(("i8: ", "u8: ")):
            maker.output(case(maker), name)
    wrong, kernels = differing(maker.module)
    assert wrong == {}
    assert None not in kernels.values()


def test_maps_are_joined_moved_and_pooled_whatever_their_channels() -> None:
    def build(m: QuantizedMaker) -> list[Value]:
        x, y = m.fresh(I8, 5, 4, 8), m.fresh(I8, 5, 4, 3)
        unsigned = [m.fresh(each, 3, 5, 4) for each in (U8, storage(ElementType.U8, 0.07, 131), U8)]
        rows = [m.fresh(I8, size, 6) for size in (3, 5)]
        pool = {"kernel": (3, 5), "strides": (1, 2), "padding": (2, 1, 4, 0)}
        return [
            m.op("concat", {"inputs": [y, x, m.fresh(OTHER, 5, 4, 5)]}, I8, axis=3),
            m.op("concat", {"inputs": unsigned}, U8, axis=3),
            m.op("concat", {"inputs": rows}, I8, axis=1),
            m.op("slice", {"input": y}, None, begin=(1, 0, 1), size=(3, 4, 2)),
            m.op("slice", {"input": m.fresh(U8, 4, 11)}, None, begin=(1, 3), size=(2, 6)),
            m.op("transpose", {"input": y}, None, order=(1, 2, 0)),
            m.op("transpose", {"input": rows[0]}, None, order=(1, 0)),
            m.op("pad", {"input": x}, None, padding=(0, 2, 1, 3), value=1.5),
            m.op("max_pool", {"input": y}, None, **pool),
            m.op("avg_pool", {"input": m.fresh(U8, 5, 4, 9)}, None, **pool),
            m.op("resize", {"input": y}, None, size=(9, 3), half_pixel_centers=True),
            m.op("resize", {"input": y}, None, size=(3, 9), method="nearest", align_corners=True),
            m.op("argmax", {"input": m.fresh(U8, 3, 70)}),
            m.op("softmax", {"input": m.fresh(I8, 5, 131)}, GATE),
            m.op("softmax", {"input": m.fresh(U8, 70)}, OTHER),
        ]

    wrong, kernels = differing(built(build))
    assert wrong == {}
    assert None not in kernels.values()


@pytest.mark.parametrize("stored", [I8, U8, storage(ElementType.I8, 3e38, 5), storage(ElementType.U8, 1e-38)])
def test_real_numbers_are_stored_where_division_and_rounding_put_them(stored: Storage) -> None:
    """Each of the smallest numbers of a level reaches it, and the one before it does not."""
    assert stored.quantization is not None
    numbers = Grid(stored.element.dtype, stored.quantization.scale[0], stored.quantization.zero_point[0])
    firsts = first_numbers(numbers)
    finite = np.isfinite(firsts)
    levels = np.arange(numbers.low + 1, numbers.high + 1)[finite]
    with np.errstate(over="ignore"):  # in front of the lowest number of all stands none that is finite
        before = np.nextafter(firsts[finite], np.float32(-np.inf))
    np.testing.assert_array_equal(quantize(firsts[finite], numbers) >= levels, True)
    np.testing.assert_array_equal(quantize(before, numbers) < levels, True)


def test_a_network_of_real_numbers_at_both_ends_has_the_interpreters_bits() -> None:
    def build(m: QuantizedMaker) -> list[Value]:
        x = m.op("quantize", {"input": m.fresh(None, 5, 3, 7)}, I8)
        y = m.op("quantize", {"input": m.fresh(None, 9)}, U8)
        return [x, y, m.op("dequantize", {"input": x}), m.op("dequantize", {"input": y})]

    wrong, kernels = differing(built(build))
    assert wrong == {}
    assert None not in kernels.values()


def test_numbers_at_their_ends_keep_their_bits() -> None:
    low, high = storage(ElementType.I8, 0.05, -128), storage(ElementType.I8, 0.05, 127)

    def build(m: QuantizedMaker) -> list[Value]:
        return [
            extreme(m, "conv2d", m.fresh(I8, 3, 11, 132), (1, 1, 132, 34), I8),
            extreme(m, "conv2d", m.fresh(low, 5, 2, 20), (1, 1, 20, 64), U8),
            extreme(m, "conv2d", m.fresh(high, 2, 2, 1028), (1, 1, 1028, 9), I8),
            extreme(m, "conv2d", m.fresh(U8, 4, 3, 12), (1, 1, 12, 13), I8),
            extreme(m, "conv2d", m.fresh(low, 6, 5, 9), (3, 3, 9, 14), I8),
            extreme(m, "depthwise_conv2d", m.fresh(high, 6, 5, 14), (5, 3, 14, 1), I8),
            extreme(m, "depthwise_conv2d", m.fresh(U8, 6, 5, 7), (3, 3, 7, 1), U8),
        ]

    wrong, kernels = differing(built(build))
    assert wrong == {}
    assert None not in kernels.values()


def test_factors_below_a_half_take_one_shift() -> None:
    """The results are those of two roundings: shifts of 1 and 30 bits, products that end in a half, a factor of 0."""

    def build(m: QuantizedMaker) -> list[Value]:
        depth, scales = 8, 2.0 ** -np.arange(2.0, 32.0, dtype=np.float32)
        scales = np.concatenate([scales, np.array([0, 0.49, 0.3, 0.25 + 2**-20], np.float32)]).astype(np.float32)
        stored = storage(ElementType.I8, 1.0)
        operands = {
            "input": m.fresh(stored, 4, 9, depth),
            "filter": m.held(m.random.integers(-3, 4, (1, 1, depth, len(scales))).astype(np.int8)),
            "bias": m.held(((1 << np.minimum(np.arange(len(scales)), 28)) + 1).astype(np.int32)),
            "filter_scale": m.held(scales),
        }
        return [m.op("conv2d", operands, stored)]

    wrong, kernels = differing(built(build))
    assert wrong == {}
    assert list(kernels.values()) == ["simt_bytes_pointwise"], "without `long`: the short form"


def test_what_has_no_kernel_says_why() -> None:
    def build(m: QuantizedMaker) -> list[Value]:
        return [
            m.layer("conv2d", m.fresh(I8, 3, 5, 8), (1, 1, 8, 4), I16),
            m.op("add", {"left": m.fresh(I8, 4, 5, 3), "right": m.fresh(I8, 4, 1, 3)}, I8),
            m.op("concat", {"inputs": [m.fresh(I8, 4, 5, 3)] * 2}, I8, axis=2),
        ]

    emitted = emit(built(build), simt=True, simt_kernels=True)
    reasons = ["16 bits", "spreads sizes of 1", "neither channels"]
    for road, reason in zip(emitted.roads, reasons, strict=True):
        assert road.kernel is None
        assert reason in road.remark().message


def test_layers_of_a_kind_share_a_kernel_whatever_their_sizes() -> None:
    def build(m: QuantizedMaker) -> list[Value]:
        return [
            m.layer("depthwise_conv2d", m.fresh(I8, size, 5, channels), (k, k, channels, 1), I8, plain=True)
            for size, channels, k in ((5, 8, 3), (7, 13, 5), (9, 3, 1))
        ]

    text = emit(built(build), simt=True, simt_kernels=True).text
    names = re.findall(r"stream.executable private @(\w+)", text)
    assert sorted(names) == ["simt_bytes_depthwise", "simt_bytes_pitch"]


def test_modules_need_nothing_that_a_vulkan_device_may_lack() -> None:
    """No 8-bit storage, integers of 8, 16 or 64 bits, or subgroups; inputs and outputs of no whole words included."""

    def build(m: QuantizedMaker) -> list[Value]:
        every = [case(m) for name, case in CASES.items() if name.startswith(("i8: ", "u8: "))]
        return [*products(m), *windows(m), *maps(m), *every]

    package = generate(built(build), "net", "iree-vulkan")
    assert package.manifest.capabilities == ()
    assert [str(remark) for remark in package.remarks()][-1].startswith("shaders: they need nothing")
    loops = generate(built(maps), "net", "iree-vulkan:linalg")
    assert "StorageBuffer8BitAccess" in loops.manifest.capabilities
    assert "shaders: the device has to have Int8, StorageBuffer8BitAccess" in map(str, loops.remarks())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_layers_have_the_interpreters_bits(seed: int) -> None:
    """Any sizes, windows, strides, dilations and paddings, with numbers in the middle and at their ends."""

    def build(m: QuantizedMaker) -> list[Value]:
        draw, found = np.random.default_rng(seed).integers, []
        for number in range(24):
            stored, result = (I8, I8, U8)[draw(3)], (I8, U8)[draw(2)]
            height, width, depth, channels = (int(draw(1, end)) for end in (14, 22, 90, 110))
            kernel = int((1, 3, 5, 7)[draw(4)])
            kind = ("pointwise", "conv2d", "depthwise_conv2d", "dense")[number % 4]
            if kind == "dense":
                found.append(m.layer(kind, m.fresh(stored, depth), (depth, channels), result, scales=int(draw(2))))
                continue
            if kind == "pointwise":
                source = m.fresh(stored, height, width, depth)
                make = extreme if stored is I8 and draw(2) else QuantizedMaker.layer
                found.append(make(m, "conv2d", source, (1, 1, depth, channels), result))
                continue
            dilation = int(draw(1, 3))
            reach = dilation * (kernel - 1) + 1
            margins = tuple(int(draw(0, reach)) for _ in range(4))
            size = tuple(max(int(draw(1, 14)), reach - sum(pair)) for pair in (margins[:2], margins[2:]))
            depth = int(draw(1, 24))
            multiplier = int((1, 1, 1, 3)[draw(4)])
            filter = (kernel, kernel, depth, channels if kind == "conv2d" else multiplier)
            strides = tuple(int(draw(1, 4)) for _ in range(2))
            attributes: dict[str, Any] = {
                "strides": strides,
                "dilations": (dilation, dilation),
                "padding": margins,
            }
            found.append(m.layer(kind, m.fresh(stored, *size, depth), filter, result, plain=True, **attributes))
        return found

    wrong, kernels = differing(built(build, seed))
    assert wrong == {}
    assert None not in kernels.values()
