"""Kernels that reduce each pixel's channels to a number or two: softmax, layer normalization, argmax.

input, output [rows, pitch], of which the first `channels` of a row count: what pads a row of the input is in no
sum, and what pads one of the output is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from iree.compiler import ir as mlir
from iree.compiler.dialects import arith, math

from mnetdsl.backends.iree.kernels.blocking import share
from mnetdsl.backends.iree.kernels.executables import Buffer, Grid
from mnetdsl.backends.iree.kernels.language import (
    Memory,
    MlirValue,
    Position,
    accumulate,
    across,
    as_value,
    filled,
    first_lanes,
    least,
    loop,
    spread,
    vector_type,
)

UNROLLED = 8
"""Vectors of a row that are built one behind the other instead of in a loop."""
LOWEST = float("-inf")


@dataclass(frozen=True)
class _Rows:
    """What kernels of rows share."""

    rows: int
    channels: int
    pitch: int
    lanes: int

    @property
    def grid(self) -> Grid:
        return share(self.rows), 1

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.pitch),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, *parameters, target = memories
        rows = -(-self.rows // self.grid[0])
        first = group[0] * rows
        with loop(first, least(first + rows, self.rows)) as row:
            line = target.from_(row * self.pitch)
            self.emit_row(source.from_(row * self.pitch), parameters, line)
            for at in range(-(-self.channels // self.lanes) * self.lanes, self.pitch, self.lanes):
                line.store(filled(0.0, vector_type(self.lanes)), at)

    def emit_row(self, source: Memory, parameters: list[Memory], target: Memory) -> None:
        raise NotImplementedError

    def along(self, initial: MlirValue, body: Callable[[Position, int, MlirValue], MlirValue]) -> MlirValue:
        """`body` for each vector of the channels: its first channel, how many of its lanes count, the value so far."""
        whole, rest = self.channels // self.lanes * self.lanes, self.channels % self.lanes
        value = initial
        if whole <= UNROLLED * self.lanes:
            for at in range(0, whole, self.lanes):
                value = body(at, self.lanes, value)
        else:
            (value,) = accumulate(0, whole, [value], lambda at, known: [body(at, self.lanes, known[0])], self.lanes)
        return body(whole, rest, value) if rest else value

    def kept(self, value: MlirValue, count: int, otherwise: float) -> MlirValue:
        """`value` in its first `count` lanes."""
        if count == self.lanes:
            return value
        return arith.select(first_lanes(count, self.lanes), value, filled(otherwise, value.type))

    def sum(self, body: Callable[[Position, int], MlirValue]) -> MlirValue:
        """Of what `body` gives for each vector, its lanes that do not count being 0; in all lanes."""
        start = filled(0.0, vector_type(self.lanes))
        lanewise = self.along(start, lambda at, count, sum: arith.addf(sum, self.kept(body(at, count), count, 0.0)))
        return spread(across(lanewise, arith.addf), self.lanes)


@dataclass(frozen=True)
class Softmax(_Rows):
    """exp(x - max) / sum(exp(x - max)) of each row. NaN anywhere makes the sum NaN, whatever the maximum is."""

    @property
    def name(self) -> str:
        return f"softmax_{self.rows}x{self.channels}"

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return self.outputs

    def emit_row(self, source: Memory, parameters: list[Memory], target: Memory) -> None:
        lanes = self.lanes

        def largest(at: Position, count: int, known: MlirValue) -> MlirValue:
            return _larger(known, self.kept(source.vector(at, lanes), count, LOWEST))

        lanewise = self.along(filled(LOWEST, vector_type(lanes)), largest)
        highest = spread(across(lanewise, _larger), lanes)

        def power(at: Position, count: int) -> MlirValue:
            value = self.kept(math.exp(arith.subf(source.vector(at, lanes), highest)), count, 0.0)
            target.store(value, at)
            return value

        total = self.sum(power)
        factor = arith.divf(filled(1.0, vector_type(lanes)), total)

        def scale(at: Position, _: int, known: MlirValue) -> MlirValue:
            target.store(arith.mulf(target.vector(at, lanes), factor), at)
            return known

        self.along(factor, scale)


@dataclass(frozen=True)
class LayerNorm(_Rows):
    """(x - mean) / sqrt(variance + epsilon) * scale + offset of each row.

    Beside the input: scale, offset [pitch], 0 where nothing counts.
    """

    epsilon: float

    @property
    def name(self) -> str:
        return f"layer_norm_{self.rows}x{self.channels}"

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (*self.outputs, Buffer(self.pitch), Buffer(self.pitch))

    def emit_row(self, source: Memory, parameters: list[Memory], target: Memory) -> None:
        lanes = self.lanes
        scale, offset = parameters
        channels = filled(float(self.channels), vector_type(lanes))
        mean = arith.divf(self.sum(lambda at, _: source.vector(at, lanes)), channels)

        def squared(at: Position, _: int) -> MlirValue:
            centered = arith.subf(source.vector(at, lanes), mean)
            return arith.mulf(centered, centered)

        variance = arith.addf(arith.divf(self.sum(squared), channels), filled(self.epsilon, vector_type(lanes)))
        factor = arith.divf(filled(1.0, vector_type(lanes)), math.sqrt(variance))

        def normalized(at: Position, count: int, known: MlirValue) -> MlirValue:
            centered = self.kept(arith.subf(source.vector(at, lanes), mean), count, 0.0)
            scaled = arith.mulf(arith.mulf(centered, factor), scale.vector(at, lanes))
            target.store(arith.addf(scaled, offset.vector(at, lanes)), at)
            return known

        self.along(factor, normalized)


@dataclass(frozen=True)
class Argmax(_Rows):
    """The first channel with a row's largest number, or with NaN where there is one.  output i32 [rows]"""

    @property
    def name(self) -> str:
        return f"argmax_{self.rows}x{self.channels}"

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows * self.pitch),)

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (Buffer(self.rows, "i32"),)

    def emit(self, group: tuple[Position, Position], *memories: Memory) -> None:
        source, target = memories
        rows = -(-self.rows // self.grid[0])
        first = group[0] * rows
        with loop(first, least(first + rows, self.rows)) as row:
            target.store_scalar(self._first(source.from_(row * self.pitch)), row)

    def _first(self, source: Memory) -> MlirValue:
        lanes, word = self.lanes, mlir.IntegerType.get_signless(32)
        words = mlir.VectorType.get([lanes], word)

        def largest(at: Position, count: int, known: MlirValue) -> MlirValue:
            return arith.maximumf(known, self.kept(source.vector(at, lanes), count, LOWEST))

        lanewise = self.along(filled(LOWEST, vector_type(lanes)), largest)
        highest = spread(across(lanewise, arith.maximumf), lanes)
        none = arith.constant(words, mlir.DenseElementsAttr.get(np.full(lanes, self.channels, np.int32), type=words))
        steps = arith.constant(words, mlir.DenseElementsAttr.get(np.arange(lanes, dtype=np.int32), type=words))

        def lowest(at: Position, count: int, known: MlirValue) -> MlirValue:
            x = source.vector(at, lanes)
            found = arith.ori(
                arith.cmpf(arith.CmpFPredicate.OEQ, x, highest), arith.cmpf(arith.CmpFPredicate.UNO, x, x)
            )
            channel = arith.addi(spread(arith.index_cast(word, as_value(at)), lanes), steps)
            # What pads the row lies behind all channels, and `none` is the first place behind them.
            return arith.minsi(known, arith.minsi(arith.select(found, channel, none), none))

        return across(self.along(none, lowest), arith.minsi)


def _larger(left: MlirValue, right: MlirValue) -> MlirValue:
    return arith.select(arith.cmpf(arith.CmpFPredicate.OGT, left, right), left, right)
