"""Random modules for property tests: every operation, odd names, odd floats, locations, quantized types."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mnetdsl.ir.core import Module, Op, Port, ShapeError, Value
from mnetdsl.ir.derivation import Derivation
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import FLOAT_OPERATIONS, OPERATIONS
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.ir.types import ElementType, Quantization, TensorType

names = st.text(min_size=1, max_size=8)
sizes = st.integers(1, 5)
floats = st.floats() | st.sampled_from([0.0, -0.0, 1e-5, 1e22, 127.5, 5e-324, float("inf"), float("-inf")])
scales = st.floats(2.0**-149, 3.4e38) | st.sampled_from([0.5, 2.0**-149])
places = st.integers(0, 2**32 - 1)


@st.composite
def locations(draw: st.DrawFn, name: str = "") -> Location:
    if draw(st.booleans()):
        return Location(name)
    return Location(name, draw(st.text(min_size=1, max_size=8)), draw(places), draw(places))


@st.composite
def types(draw: st.DrawFn, quantized: bool) -> TensorType:
    """Mostly float maps; else any element type, quantized per tensor or per axis."""
    shape = (1, *draw(st.lists(sizes, min_size=draw(st.sampled_from([1, 3, 3, 3])), max_size=3)))
    element = draw(st.sampled_from([ElementType.F32] * 6 + list(ElementType)))
    bits = {ElementType.I8: 8, ElementType.U8: 8, ElementType.I16: 16, ElementType.I32: 32}.get(element)
    if bits is None or not quantized or draw(st.booleans()):
        return TensorType(shape, element)
    low = 0 if element is ElementType.U8 else -(2 ** (bits - 1))
    axis = draw(st.none() | st.integers(0, len(shape) - 1))
    count = 1 if axis is None else shape[axis]
    zeros = st.integers(low, low + 2**bits - 1)
    return TensorType(
        shape,
        element,
        Quantization(
            tuple(draw(st.lists(scales, min_size=count, max_size=count))),
            tuple(draw(st.lists(zeros, min_size=count, max_size=count))),
            axis,
        ),
    )


port_values = (
    st.integers(-(2**63), 2**63 - 1)
    | floats
    | st.booleans()
    | st.text(max_size=6)
    | st.lists(floats, max_size=4).map(tuple)
    | st.lists(st.integers(-9, 9), max_size=4).map(tuple)
    | st.lists(st.text(max_size=6), max_size=4).map(tuple)
)
port_attributes = st.dictionaries(names.filter(lambda name: name not in ("name", "location")), port_values, max_size=3)


class _Maker:
    """Appends operations whose operands fit; those that cannot be made are left out."""

    def __init__(self, draw: st.DrawFn, module: Module) -> None:
        self.draw = draw
        self.module = module
        self.values: list[Value] = []
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"{self.draw(names)}.{self.count}"

    def constant(self, *shape: int) -> Value:
        name = self.name()
        op = Constant({}, {"resource": name, "shape": shape}, self.draw(locations(name)))
        self.module.graph.operations.append(op)
        return op.result

    def floats(self, rank: int | None = None) -> list[Value]:
        return [
            value for value in self.values if value.type.element is ElementType.F32 and rank in (None, value.type.rank)
        ]

    def add(self, opcode: str) -> None:
        try:
            operands, attributes = self.parts(opcode)
            op = OPERATIONS[opcode](
                operands, attributes, self.draw(locations(self.draw(st.just("") | st.just(self.name()))))
            )
        except (ShapeError, IndexError):
            return
        self.module.graph.operations.append(op)
        self.values.append(op.result)

    def pick(self, values: list[Value]) -> Value:
        if not values:
            raise IndexError
        return self.draw(st.sampled_from(values))

    def window(self) -> dict[str, tuple[int, ...]]:
        pair = st.tuples(st.integers(1, 2), st.integers(1, 2))
        border = st.tuples(*[st.integers(0, 2)] * 4)
        return {"strides": self.draw(pair), "padding": self.draw(border)}

    def parts(self, opcode: str) -> tuple[dict[str, Value | list[Value] | None], dict[str, Any]]:
        """Operands and attributes for one operation."""
        draw = self.draw
        activation = draw(st.sampled_from(["none", *UNARY_FUNCTIONS]))
        if opcode in ("conv2d", "depthwise_conv2d"):
            x = self.pick(self.floats(4))
            last = draw(st.integers(1, 3))
            channels = x.type.shape[3]
            outputs = last * channels if opcode == "depthwise_conv2d" else last
            operands: dict[str, Value | list[Value] | None] = {
                "input": x,
                "filter": self.constant(draw(st.integers(1, 3)), draw(st.integers(1, 3)), channels, last),
                "bias": self.constant(outputs) if draw(st.booleans()) else None,
            }
            if opcode == "conv2d":
                operands["residual"] = draw(st.sampled_from([None, *self.floats(4)]))
            dilations = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
            return operands, {**self.window(), "dilations": dilations, "activation": activation}
        if opcode == "dense":
            x = self.pick(self.floats(2))
            outputs = draw(sizes)
            bias = self.constant(outputs) if draw(st.booleans()) else None
            return {"input": x, "filter": self.constant(x.type.shape[1], outputs), "bias": bias}, {
                "activation": activation
            }
        if opcode == "batch_norm":
            x = self.pick(self.floats())
            channels = x.type.shape[-1]
            statistics = {name: self.constant(channels) for name in ("scale", "offset", "mean", "variance")}
            return {"input": x, **statistics}, {"epsilon": draw(floats)}
        if opcode == "layer_norm":
            x = self.pick(self.floats())
            parameters = {name: self.constant(x.type.shape[-1]) for name in ("scale", "offset")}
            return {"input": x, **parameters}, {"epsilon": draw(floats)}
        if opcode in ("add", "sub", "mul"):
            return {"left": self.pick(self.floats()), "right": self.pick(self.floats())}, {"activation": activation}
        if opcode == "matmul":
            attributes = {"transpose": draw(st.sampled_from(["none", "right"])), "scale": draw(floats)}
            return {"left": self.pick(self.floats(3)), "right": self.pick(self.floats(3))}, attributes
        if opcode == "concat":
            first = self.pick(self.values)
            alike = [value for value in self.values if value.type == first.type and value.type.quantization is None]
            more = draw(st.lists(st.sampled_from(alike), max_size=2)) if alike else []
            return {"inputs": [first, *more]}, {"axis": draw(st.integers(1, 3))}
        if opcode == "normalize":
            x = self.pick(self.values)
            count = draw(st.sampled_from([1, x.type.shape[-1]]))
            lists = st.lists(floats, min_size=count, max_size=count).map(tuple)
            return {"input": x}, {"mean": draw(lists), "std": draw(lists)}
        plain = [value for value in self.values if value.type.quantization is None]
        if opcode == "resize":
            x = self.pick([value for value in plain if value.type.rank == 4])
            corners, centers = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
            method = draw(st.sampled_from(["bilinear", "nearest"]))
            size = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
            return {"input": x}, {
                "size": size,
                "method": method,
                "align_corners": corners,
                "half_pixel_centers": centers,
            }
        if opcode == "reshape":
            x = self.pick(plain)
            return {"input": x}, {"shape": draw(st.permutations(x.type.shape[1:]).map(tuple))}
        if opcode == "transpose":
            x = self.pick(plain)
            return {"input": x}, {"order": tuple(draw(st.permutations(range(x.type.rank - 1))))}
        if opcode == "slice":
            x = self.pick(plain)
            begin = [draw(st.integers(0, held - 1)) for held in x.type.shape[1:]]
            taken = [draw(st.integers(1, held - start)) for held, start in zip(x.type.shape[1:], begin, strict=True)]
            return {"input": x}, {"begin": tuple(begin), "size": tuple(taken)}
        if opcode == "pad":
            x = self.pick([value for value in plain if value.type.rank == 4])
            return {"input": x}, {"padding": self.window()["padding"], "value": draw(floats)}
        if opcode in ("max_pool", "avg_pool"):
            return {"input": self.pick(self.floats(4))}, {**self.window(), "kernel": draw(st.tuples(sizes, sizes))}
        if opcode == "global_avg_pool":
            return {"input": self.pick(self.floats(4))}, {}
        if opcode == "clamp":
            return {"input": self.pick(self.floats())}, {"low": draw(floats), "high": draw(floats)}
        return {"input": self.pick(self.floats())}, {}


@st.composite
def modules(draw: st.DrawFn, quantized: bool = True) -> Module:
    """A module of up to a dozen operations that passes `verify`."""
    module = Module(draw(st.text(max_size=8)))
    maker = _Maker(draw, module)
    for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        value = Value(draw(types(quantized)))
        module.graph.inputs.append(Port(name, value, draw(port_attributes), draw(locations(draw(st.text(max_size=4))))))
        maker.values.append(value)
    opcodes = st.sampled_from([opcode for opcode in FLOAT_OPERATIONS if opcode != "constant"])
    for opcode in draw(st.lists(opcodes, max_size=12)):
        maker.add(opcode)
    for name in draw(st.lists(names, max_size=3, unique=True)):
        value = draw(st.sampled_from(maker.values))
        module.graph.outputs.append(
            Port(name, value, draw(port_attributes), draw(locations(draw(st.text(max_size=4)))))
        )
    for number in range(draw(st.integers(0, 2))):
        sources = draw(st.lists(names, max_size=3, unique=True))
        module.derived[f"derived.{number}"] = Derivation(
            draw(names),
            tuple(f"source.{name}" for name in sources),
            tuple(TensorType((len(name), 2)) for name in sources),
            tuple(draw(st.lists(st.integers(0, 3), max_size=3))),
            tuple(sorted(draw(st.dictionaries(names, floats | st.integers(-5, 5), max_size=2)).items())),
        )
    return module


def opcodes_of(module: Module) -> set[str]:
    return {op.opcode for op in module.graph.operations if isinstance(op, Op)}
