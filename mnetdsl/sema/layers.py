"""Adds operations to the graph under hierarchical names, and remembers where the text made them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mnetdsl.diagnostics import Diagnostic, Label, error
from mnetdsl.ir.builder import Builder
from mnetdsl.ir.core import Op, OperandArgument, ShapeError
from mnetdsl.ir.core import Value as IrValue
from mnetdsl.ir.declare import AttributeValue
from mnetdsl.ir.derivation import Derivation
from mnetdsl.ir.location import Location
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, Shape
from mnetdsl.sema import bounds
from mnetdsl.sema.provenance import shape_labels
from mnetdsl.sema.report import Report
from mnetdsl.sema.values import Tensor
from mnetdsl.source import Span

SHAPE_CODES = {
    "add": "MN0401",
    "sub": "MN0401",
    "mul": "MN0401",
    "concat": "MN0404",
    "reshape": "MN0405",
    "normalize": "MN0605",
}
"""Codes of shape errors that have a page of their own; all others are MN0403."""

INDEX_OPERATIONS = frozenset({"reshape", "transpose", "slice", "concat"})
"""What may be done with indices, the results of `argmax`."""

SHAPE_HELP = {
    "sub": "sizes must be equal, or 1 where one value serves the whole map",
    "add": "a residual needs stride 1 and equal channels; guard it with `if y.shape == x.shape`",
    "mul": "sizes must be equal, or 1 where one value serves the whole map",
    "conv2d": "pad the input, take a smaller kernel, or reduce the strides before this layer",
    "depthwise_conv2d": "pad the input, take a smaller kernel, or reduce the strides before this layer",
    "avg_pool": "`global_avg_pool` pools whatever size is left",
}


class Layers:
    """The graph under construction together with the current path of names and the current place in the text."""

    def __init__(self, builder: Builder, report: Report, derived: dict[str, Derivation] | None = None) -> None:
        """`derived` takes the arrays of numbers that the text states, beside the graph of `builder`."""
        self.builder = builder
        self.report = report
        self.derived: dict[str, Derivation] = {} if derived is None else derived
        self.spans: dict[Op, Span] = {}
        self.ports: dict[tuple[str, str], Span] = {}
        """Where each input and output has its name, by kind and name."""
        self.offered: set[Op] = set()
        """Layers that a block gives back beside others: not every caller needs all of them."""
        self._path: list[str] = []
        self._taken: dict[str, Span] = {}
        self._numbered: set[str] = set()
        """Names given to layers without weights and without `as`."""
        self._calls: list[tuple[Span, bool]] = []
        """Call sites on the way here, outermost first, and whether each lies in a library file."""

    @contextmanager
    def scope(self, name: str, span: Span) -> Iterator[None]:
        """Puts `name` before the names of all layers made inside."""
        self._claim(self._full(name), span)
        self._path.append(name)
        try:
            yield
        finally:
            self._path.pop()

    @contextmanager
    def call(self, span: Span, in_library: bool) -> Iterator[None]:
        """Notes a call site while its block is expanded."""
        self._calls.append((span, in_library))
        try:
            yield
        finally:
            self._calls.pop()

    def offer(self, values: Iterable[IrValue]) -> None:
        """Notes what a block gives back in one `return`."""
        self.offered.update(value.producer for value in values if value.producer is not None)

    @property
    def depth(self) -> int:
        return len(self._calls)

    def visible(self, span: Span, in_library: bool) -> Span:
        """`span`, or where it lies in a library file the nearest call in the user's text."""
        if not in_library:
            return span
        return next((site for site, library in reversed(self._calls) if not library), span)

    def add(
        self,
        opcode: str,
        label: str | None,
        span: Span,
        operands: dict[str, OperandArgument],
        attributes: dict[str, AttributeValue] | None = None,
        blame: dict[str, Span] | None = None,
    ) -> Tensor:
        """Appends an operation without weights; its name is `label`, or its opcode with a number where taken."""
        name = self._claim_free(opcode) if label is None else self._claim(self._full(label), span)
        return self._append(opcode, name, span, operands, attributes or {}, blame or {})

    def add_with_numbers(
        self,
        opcode: str,
        label: str | None,
        span: Span,
        operands: dict[str, OperandArgument],
        numbers: dict[str, Derivation],
    ) -> Tensor:
        """Appends an operation without weights whose operands `numbers` are constants that the text states."""
        name = self._claim_free(opcode) if label is None else self._claim(self._full(label), span)
        for operand, derivation in numbers.items():
            count, resource = 1, f"{name}.{operand}"
            while resource in self.derived:
                count += 1
                resource = f"{name}.{operand}.{count}"
            self.derived[resource] = derivation
            shape = dict(derivation.attributes)["shape"]
            assert isinstance(shape, tuple)
            sizes = tuple(int(size) for size in shape)
            operands[operand] = self.builder.constant(resource, sizes, location=Location.of(span, resource))
        return self._append(opcode, name, span, operands, {}, {})

    def add_with_weights(
        self,
        opcode: str,
        label: str | None,
        span: Span,
        operands: dict[str, OperandArgument],
        weights: dict[str, tuple[str, Shape]],
        attributes: dict[str, AttributeValue] | None = None,
        blame: dict[str, Span] | None = None,
    ) -> Tensor:
        """Appends an operation whose operands `weights` (name -> key, shape) are constants `<layer>.<key>`.

        Its name never gets a number: it is the key of weights, which must not change when a layer is added.
        """
        name = self._claim(self._full(label or opcode), span)
        for operand, (key, shape) in weights.items():
            self.check_size(shape, span)
            operands[operand] = self.builder.constant(
                f"{name}.{key}", shape, location=Location.of(span, f"{name}.{key}")
            )
        return self._append(opcode, name, span, operands, attributes or {}, blame or {})

    def _append(
        self,
        opcode: str,
        name: str,
        span: Span,
        operands: dict[str, OperandArgument],
        attributes: dict[str, AttributeValue],
        blame: dict[str, Span],
    ) -> Tensor:
        if len(self.builder.graph.operations) >= bounds.MAX_OPERATIONS:
            raise self.report.stop(
                error("MN0503", f"the model expands to more than {bounds.MAX_OPERATIONS} operations", at=span)
            )
        try:
            op = self.builder.add(OPERATIONS[opcode], Location.of(span, name), operands, **attributes)
        except ShapeError as problem:
            raise self.report.stop(self._shape_error(opcode, span, operands, problem, blame)) from None
        if opcode not in INDEX_OPERATIONS and any(value.type.element is ElementType.I32 for value in op.operands):
            raise self.report.stop(
                error(
                    "MN0301",
                    f"`{opcode}` computes with real numbers, and a tensor of indices is given",
                    at=span,
                    label=f"the input is {op.operands[0].type}",
                    help="indices, the results of `argmax`, are outputs: compute in front of `argmax`",
                )
            )
        self.check_size(op.type.shape, span)
        self.spans[op] = span
        return Tensor(op.result, span)

    def _shape_error(
        self,
        opcode: str,
        span: Span,
        operands: dict[str, OperandArgument],
        problem: ShapeError,
        blame: dict[str, Span],
    ) -> Diagnostic:
        values = [value for value in operands.values() if isinstance(value, IrValue)]
        return error(
            SHAPE_CODES.get(opcode, "MN0403"),
            problem.message,
            at=blame.get(problem.operand or "", span),
            label=", ".join(f"{name} is {value.type}" for name, value in operands.items() if isinstance(value, IrValue))
            if opcode in ("add", "sub", "mul")
            else f"the input is {values[0].type}"
            if values
            else "",
            also=shape_labels(values[:2], self.spans) if opcode in ("add", "sub", "mul", "concat") else (),
            help=SHAPE_HELP.get(opcode, ""),
        )

    def check_size(self, shape: Shape, span: Span) -> None:
        """Raises `Reported` for a tensor or weight that no backend could index."""
        elements = 1
        for size in shape:
            elements *= size
        if elements > bounds.MAX_TENSOR_ELEMENTS:
            raise self.report.stop(
                error(
                    "MN0506",
                    f"a tensor of {'x'.join(map(str, shape))} has {elements} elements, more than "
                    f"{bounds.MAX_TENSOR_ELEMENTS}",
                    at=span,
                    label="made here",
                    help="lower the resolution, the channels or the width multiplier",
                )
            )

    def _full(self, name: str) -> str:
        return ".".join([*self._path, name])

    def _claim_free(self, opcode: str) -> str:
        number, name = 1, self._full(opcode)
        while name in self._taken or name in self._numbered:
            number += 1
            name = self._full(f"{opcode}_{number}")
        self._numbered.add(name)
        return name

    def _claim(self, name: str, span: Span) -> str:
        first = self._taken.get(name)
        if first is not None:
            raise self.report.stop(
                error(
                    "MN0205",
                    f"two layers would both be called `{name}`",
                    at=span,
                    label="the second one",
                    also=(Label(first, "the first one"),) if first != span else (),
                    help="name each with `as`: `x = conv_bn(x, 16) as stem`; the name is the key of its weights",
                )
            )
        self._taken[name] = span
        return name
