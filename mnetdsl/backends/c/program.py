"""The C program model: everything decided, nothing printed. Templates lay it out and add no decision of their own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Call:
    """One kernel call: function name without the model's prefix, arguments as C text."""

    function: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Kernel:
    """A kernel made for certain sizes: the template's name, the function's without the prefix, and what it asks for."""

    source: str
    function: str
    values: tuple[tuple[str, int | str], ...]


@dataclass(frozen=True)
class Layer:
    """One step of the program. `output` is C text of a pointer to the `output_bytes` it wrote."""

    index: int
    name: str
    opcode: str
    comment: tuple[str, ...]
    calls: tuple[Call, ...]
    output: str
    output_bytes: int


@dataclass(frozen=True)
class ShapeTable:
    """A constant struct of sizes that a kernel reads."""

    type: str
    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Weights:
    """A constant array in the kernel's load order."""

    name: str
    type: str
    comment: str
    values: NDArray[np.generic]


@dataclass(frozen=True)
class CPort:
    """An input or output: `name` in C, `macro` its upper-case form, both without the model's prefix."""

    name: str
    macro: str
    type: str
    shape: tuple[int, ...]
    elements: int
    bytes: int
    alignment: int
    notes: tuple[str, ...]
    labels: tuple[str, ...]
    scale: str = ""
    """C text of the scale of a quantized port, empty for others."""
    zero_point: int = 0

    @property
    def indices(self) -> bool:
        """Whether its elements are numbers of classes, not scores."""
        return self.type == "int32_t"

    @property
    def named_sizes(self) -> tuple[tuple[str, int], ...]:
        """Sizes of a map [H, W, C] by name; of other shapes none has a name."""
        return tuple(zip(("HEIGHT", "WIDTH", "CHANNELS"), self.shape, strict=True)) if len(self.shape) == 3 else ()


@dataclass(frozen=True)
class Unit:
    """Some rows of a layer: kernel calls with all addresses in them. `layer` is its index.

    `output` points to `output_bytes` of the result, empty where the unit only makes room.
    """

    layer: int
    calls: tuple[Call, ...]
    output: str = ""
    output_bytes: int = 0


@dataclass(frozen=True)
class RowProgram:
    """The front of a network by rows: what a row is computed by, and in which order.

    The first `image_units` units read a row of the image each and move on to the next. Layers behind the front have the
    numbers behind those of the units, and stand at the end of the schedule.
    """

    units: tuple[Unit, ...]
    image_units: int
    schedule: tuple[int, ...]
    image: CPort

    @property
    def rows(self) -> int:
        """Of the image."""
        return self.image.shape[0]

    @property
    def row_elements(self) -> int:
        return self.image.elements // self.rows

    @cached_property
    def made(self) -> dict[int, int]:
        """Bytes of each layer by rows that an inference makes: rows that nobody reads are not among them."""
        found: Counter[int] = Counter()
        for number in self.schedule:
            if number < len(self.units) and self.units[number].output:
                found[self.units[number].layer] += self.units[number].output_bytes
        return found

    @property
    def number(self) -> str:
        """C type of the number of a unit."""
        return "uint8_t" if max(self.schedule) < 256 else "uint16_t"


@dataclass(frozen=True)
class SelfTestVectors:
    """Inputs and expected outputs as array bodies, beside the largest difference that passes.

    layers: names and checksums of results, one a vector, 0 where they are not compared; empty where none are.
    """

    count: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tolerances: tuple[str, ...]
    layers: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class ArenaLine:
    """One buffer in the header's table of the arena's peak."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class CArena:
    """Memory that the caller gives: `name` in C, without the model's prefix in front of types and macros.

    `memory` is where it is to lie, empty where there is one arena, which may lie anywhere. `peak_layer` sets the lower
    bound of what is in it, by the `peak_buffers` that meet there.
    """

    name: str
    bytes: int
    memory: str
    lower_bound: int
    peak_layer: str
    peak_buffers: tuple[ArenaLine, ...]

    @property
    def macro(self) -> str:
        return self.name.upper()

    @property
    def size(self) -> str:
        """The parameter beside it."""
        return "bytes" if self.name == ARENA else f"{self.name}_bytes"

    @property
    def suffix(self) -> str:
        """Of functions that point into it."""
        return self.name.removeprefix(ARENA)


ARENA = "arena"
"""Of one arena; of several, names begin with it."""

WEIGHTED_KERNELS = ("pointwise", "conv2d", "depthwise_conv2d", "depthwise_in_place", "depthwise_multiplied")
"""Kernels with filters, of stored integers: the elements of input and output stand behind the name."""


@dataclass(frozen=True, eq=False)
class Program:
    """A model as C. `name` prefixes every symbol, `macro` every macro."""

    name: str
    macro: str
    version: str
    api_version: int
    arena_bytes: int
    arena_alignment: int
    lower_bound: int
    peak_layer: str
    peak_buffers: tuple[ArenaLine, ...]
    inputs: tuple[CPort, ...]
    outputs: tuple[CPort, ...]
    layers: tuple[Layer, ...]
    shapes: tuple[ShapeTable, ...]
    weights: tuple[Weights, ...]
    functions: frozenset[str]
    """Kernels and helpers that are called: templates leave out the others."""
    sources: tuple[str, ...]
    """Kernel templates, each behind those it needs."""
    kernels: tuple[Kernel, ...]
    """Kernels made for certain sizes, which stand behind those of `sources`."""
    activations: tuple[str, ...]
    libm: tuple[str, ...]
    """Functions of math.h that are called; empty for most networks."""
    needs_math: bool
    """Whether a constant of math.h is used, which needs the header but not the library."""
    arena_functions: tuple[tuple[str, str, str], ...]
    """Functions that point into an arena, the C types they point to, and the arena."""
    program_hash: str
    weights_hash: str
    selftest: SelfTestVectors | None
    rows: RowProgram | None = None
    arenas: tuple[CArena, ...] = ()
    """At least one, which may have no bytes."""

    def variants(self, *functions: str) -> list[tuple[str, str]]:
        """Element types of input and output with which layers call any of these kernels: `conv2d_i8_i8`, …"""
        calls = (name.rsplit("_", 2) for name in self.functions if name.count("_") >= 2)
        return sorted({(source, target) for name, source, target in calls if name in functions})

    @property
    def wide_sums(self) -> bool:
        """Whether a layer sums products of 16-bit numbers."""
        return any(source == "i16" for source, _ in self.variants(*WEIGHTED_KERNELS))

    @property
    def filter_zeros(self) -> bool:
        """Whether a filter's zero point is not 0, which kernels then subtract."""
        return any(table.type == "levels" and table.values[1] != "0" for table in self.shapes)

    @property
    def uses_drivers(self) -> bool:
        """Whether kernels are functions of their own whatever the compiler thinks of it: all those of integers."""
        return any(source.startswith(("quantized", "dsp/")) for source in self.sources)

    @property
    def uses_parts(self) -> bool:
        """Whether there are parts that the compiler must put into these kernels."""
        return "quantized" in self.sources

    def uses(self, *functions: str) -> bool:
        """Whether a layer calls one of these kernels, or needs one of these parts."""
        return any(function in self.functions for function in functions)

    @property
    def end(self) -> str:
        """C text of the number of steps of an inference."""
        return f"{self.macro}_LAYER_COUNT" if self.rows is None else str(len(self.rows.schedule))

    @property
    def stamp(self) -> str:
        """What the files were made by and from: never when or where."""
        return f"mnetdsl {self.version}, program {self.program_hash[:16]}, weights {self.weights_hash[:16]}"

    @property
    def magic(self) -> str:
        """Marks an initialised context of this very model; hexadecimal, never zero."""
        return f"{int(self.program_hash[:8], 16) | 1:08x}"

    @property
    def arena_unit(self) -> str:
        """A C type of the arena's alignment."""
        return "double" if self.arena_alignment == 8 else "float"

    @property
    def parameters(self) -> tuple[str, ...]:
        """Of `run` and `start`, behind the context."""
        return (*(f"const {port.type} *{port.name}" for port in self.inputs), *self.output_parameters)

    @property
    def arena_parameters(self) -> str:
        """Of `init` and `selftest`, behind the context."""
        return ", ".join(f"void *{arena.name}, size_t {arena.size}" for arena in self.arenas)

    @property
    def arena_arguments(self) -> str:
        """What `selftest` hands on."""
        return ", ".join(f"{arena.name}, {arena.size}" for arena in self.arenas)

    def static_arenas(self, null: str = "NULL") -> str:
        """Arguments of a program that has a variable for each arena, of its name."""
        if not self.arena_bytes:
            return f"{null}, 0"
        return ", ".join(f"&{arena.name}, sizeof {arena.name}" for arena in self.arenas)

    @property
    def output_parameters(self) -> tuple[str, ...]:
        return tuple(f"{port.type} *{port.name}" for port in self.outputs)

    @property
    def output_types(self) -> tuple[str, ...]:
        return tuple(sorted({port.type for port in self.outputs}))

    @property
    def checked_alignment(self) -> bool:
        """Whether any pointer must be aligned."""
        return self.arena_bytes > 0 or any(port.alignment > 1 for port in (*self.inputs, *self.outputs))

    @property
    def weight_bytes(self) -> int:
        return sum(table.values.nbytes for table in self.weights)
