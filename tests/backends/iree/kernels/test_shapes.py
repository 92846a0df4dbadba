"""How kernels cut their work, without compiling any: nothing is left out or done twice."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mnetdsl.backends.iree.kernels.blocking import choose_block, choose_window_block, parts, share
from mnetdsl.backends.iree.kernels.isa import ISAS, choose_isa
from mnetdsl.backends.iree.kernels.packing import pad_last, panels
from mnetdsl.backends.iree.kernels.window import Window

SIZES = st.integers(1, 40)


@given(
    columns=SIZES, kernel=st.integers(1, 7), stride=st.integers(1, 3), left=st.integers(0, 3), right=st.integers(0, 3)
)
def test_strips_cover_every_column_once_and_runs_read_only_inside(
    columns: int, kernel: int, stride: int, left: int, right: int
) -> None:
    window = Window((9, columns + kernel), (3, kernel), (1, stride), (0, 0, left, right))
    covered: list[int] = []
    for start, end, size in window.strips(6):
        assert (end - start) % size == 0
        covered += range(start, end)
        if end - start > size:  # a run: its code does not ask where it is
            for x in range(start, end):
                assert 0 <= x * stride - left <= x * stride - left + kernel <= window.size[1]
    assert covered == list(range(window.outputs[1]))


@given(
    height=SIZES, kernel=st.integers(1, 7), stride=st.integers(1, 3), top=st.integers(0, 3), bottom=st.integers(0, 3)
)
def test_the_rows_of_a_window_are_those_inside_the_map(
    height: int, kernel: int, stride: int, top: int, bottom: int
) -> None:
    size = height + kernel
    window = Window((size, 9), (kernel, 3), (stride, 1), (top, bottom, 0, 0))
    for y in range(window.outputs[0]):
        low, high, first = window.rows(y)
        assert isinstance(low, int)
        assert isinstance(high, int)
        assert isinstance(first, int)
        assert list(range(low, high)) == [row for row in range(kernel) if 0 <= first + row < size]


@given(total=st.integers(1, 60), size=st.integers(1, 20), groups=st.integers(1, 9))
def test_parts_of_all_workgroups_cover_every_step_once(total: int, size: int, groups: int) -> None:
    tiles = -(-total // size)
    height = -(-tiles // groups) * size
    covered: list[int] = []
    for group in range(groups):
        for step, start, end in parts(group * height, min(group * height + height, total), size, total):
            assert isinstance(start, int)
            assert isinstance(end, int)
            for first in range(start, end, step):
                covered += range(first, first + step)
    assert sorted(covered) == list(range(total))


@given(tiles=st.integers(1, 300))
def test_workgroups_have_almost_equal_shares(tiles: int) -> None:
    groups = share(tiles)
    assert 1 <= groups <= min(tiles, 16)
    assert -(-tiles // groups) * groups <= 1.34 * tiles


@settings(max_examples=30)
@given(rows=st.integers(1, 4000), vectors=st.integers(1, 90))
def test_a_block_leaves_registers_for_its_weights(rows: int, vectors: int) -> None:
    for isa in ISAS:
        block = choose_block(isa, rows, vectors)
        assert block.rows <= rows
        assert block.vectors <= vectors
        assert block.rows * block.vectors + block.vectors + 1 <= isa.registers


@settings(max_examples=20)
@given(
    columns=st.integers(1, 224),
    vectors=st.integers(1, 30),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 3),
    unrolled=st.booleans(),
)
def test_a_strip_leaves_registers_for_the_columns_that_it_takes_together(
    columns: int, vectors: int, kernel: int, stride: int, unrolled: bool
) -> None:
    for isa in ISAS:
        block, together = choose_window_block(isa, columns, vectors, kernel, stride, unrolled)
        assert block.rows <= columns
        assert block.vectors <= vectors
        assert together <= kernel
        assert block.rows * block.vectors + together * block.vectors + 1 <= isa.registers


def test_columns_are_taken_together_where_they_share_inputs() -> None:
    avx512, avx2, _ = ISAS
    assert choose_window_block(avx512, 28, 6, 3, 2, unrolled=False)[1] == 3
    assert choose_window_block(avx2, 28, 12, 3, 2, unrolled=False)[1] == 1


def test_the_best_instruction_set_that_a_target_has_is_chosen() -> None:
    avx512 = frozenset({"avx2", "fma", "avx512f", "avx512vl", "avx512dq", "avx512bw"})
    names = [choose_isa(found) for found in (avx512, avx512 - {"avx512vl"}, frozenset({"neon"}))]
    assert [isa.name for isa in names if isa] == [
        "avx512",
        "avx2",
        "neon",
    ]
    assert choose_isa(frozenset({"sse2", "avx"})) is None
    assert choose_isa(frozenset()) is None


def test_panels_hold_each_weight_where_the_kernel_looks_for_it() -> None:
    depth, channels, width = 5, 44, 16
    matrix = np.arange(depth * channels, dtype=np.float32).reshape(depth, channels)
    padded = pad_last(matrix, 48)
    flat = panels(padded, width)
    for k in range(depth):
        for n in range(channels):
            panel = n // width * width
            assert flat[panel * depth + k * width + n - panel] == matrix[k, n]
    assert flat.size == depth * 48
