"""Runs a model's statements: blocks are expanded, loops unrolled, operations added to the graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from mnetdsl.diagnostics import Label, error
from mnetdsl.sema import bounds, ports
from mnetdsl.sema.expressions import Evaluator, Frame
from mnetdsl.sema.layers import Layers
from mnetdsl.sema.names import unknown_callee
from mnetdsl.sema.operations import OPERATIONS, Call
from mnetdsl.sema.pairs import TENSOR_OPERATORS, pair
from mnetdsl.sema.report import Report, Reported
from mnetdsl.sema.signatures import GivenArgument, Parameter, bind
from mnetdsl.sema.values import (
    POISON,
    BlockValue,
    Constant,
    FileScope,
    ModelValue,
    TableRow,
    TableValue,
    Tensor,
    Value,
    as_constant,
    describe,
)
from mnetdsl.source import Span
from mnetdsl.syntax import ast


class BlockReturn(Exception):
    """Leaves a block with its values."""

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


class Expander:
    """Turns one model into operations. Diagnostics go to `report`; a failed statement poisons its targets."""

    def __init__(self, layers: Layers, report: Report) -> None:
        self.layers = layers
        self.report = report
        self.evaluator = Evaluator(report, self._call, self._tensor_binary)
        self._active: list[ast.Block] = []

    def model(self, model: ModelValue, arguments: dict[str, Value]) -> None:
        """Expands the model's body with all its parameters given."""
        frame = Frame(model.home)
        for parameter in model.model.parameters:
            frame.set(parameter.name, arguments[parameter.name.text])
        self.statements(model.model.body, frame)
        ports.check_present(model.model, self.layers, self.report)

    def parameters(self, definition: ast.Block | ast.Model, home: FileScope) -> tuple[Parameter, ...]:
        """Parameters with their defaults evaluated; an earlier parameter cannot be used in a default."""
        frame = Frame(home)
        return tuple(
            Parameter(
                parameter.name.text,
                (parameter.type.text,),
                None if parameter.default is None else self.evaluator.evaluate(parameter.default, frame),
                parameter.name.span,
            )
            for parameter in definition.parameters
        )

    # Statements -------------------------------------------------------------------------------------------------

    def statements(self, body: tuple[ast.Statement, ...], frame: Frame) -> None:
        for statement in body:
            try:
                with self.evaluator.level(statement.span):
                    self._statement(statement, frame)
            except Reported:
                for name in assigned_names(statement):
                    frame.set(name, POISON)

    def _statement(self, statement: ast.Statement, frame: Frame) -> None:
        self.evaluator.step(statement.span)
        match statement:
            case ast.Assign():
                self._assign(statement, frame)
            case ast.Table():
                self._table(statement, frame)
            case ast.For():
                self._for(statement, frame)
            case ast.If():
                chosen = self.evaluator.condition(statement.condition, frame)
                self.statements(statement.then if chosen else statement.otherwise, frame)
            case ast.Assert():
                self._assert(statement, frame)
            case ast.Return():
                self._return(statement, frame)
            case ast.Input():
                self._only_in_model("input", statement.span, frame)
                ports.input(statement, frame, self.layers, self.evaluator)
            case ast.Output():
                self._only_in_model("output", statement.span, frame)
                ports.check_new_output(statement, self.layers, self.report)
                label = statement.name.text if statement.label is None else statement.label.text
                value = self.evaluator.evaluate(statement.value, frame, label)
                ports.output(statement, value, frame, self.layers, self.evaluator)
                frame.set(statement.name, value)

    def _assign(self, statement: ast.Assign, frame: Frame) -> None:
        label = None if statement.label is None else statement.label.text
        before = len(self.layers.builder.graph.operations)
        value = self.evaluator.evaluate(statement.value, frame, label)
        if statement.label is not None and before == len(self.layers.builder.graph.operations):
            raise self.report.stop(
                error(
                    "MN0206",
                    "there is no layer here that could be named",
                    at=statement.label.span,
                    label="names nothing",
                    help="`as` names the layer that an operation or a block on the right makes",
                )
            )
        if len(statement.targets) == 1:
            frame.set(statement.targets[0], value)
            return
        count = len(value) if isinstance(value, tuple) else 1
        if not isinstance(value, tuple) or count != len(statement.targets):
            raise self.report.stop(
                error(
                    "MN0311",
                    f"{len(statement.targets)} names on the left, {count} value{'s'[: count != 1]} on the right",
                    at=statement.span,
                    label=f"this gives {describe(value)}",
                )
            )
        for target, item in zip(statement.targets, value, strict=True):
            frame.set(target, item)

    def _table(self, table: ast.Table, frame: Frame) -> None:
        names = [column.text for column in table.columns]
        for position, column in enumerate(table.columns):
            if column.text in names[:position]:
                first = table.columns[names.index(column.text)]
                self.report.add(
                    error(
                        "MN0202",
                        f"table `{table.name.text}` has two columns `{column.text}`",
                        at=column.span,
                        label="again here",
                        also=(Label(first.span, "first here"),),
                    )
                )
        rows: list[tuple[Constant, ...]] = []
        for row in table.rows:
            with suppress(Reported):
                rows.append(tuple(self._cell(cell, frame) for cell in row.cells))
        if len(rows) != len(table.rows):
            raise Reported
        frame.set(table.name, TableValue(table.name.text, tuple(names), tuple(rows), table.span))

    def _cell(self, cell: ast.Expr, frame: Frame) -> Constant:
        value = self.evaluator.evaluate(cell, frame)
        constant = as_constant(value)
        if constant is None:
            raise self.report.stop(error("MN0301", f"a cell cannot hold {describe(value)}", at=cell.span))
        return constant

    def _for(self, statement: ast.For, frame: Frame) -> None:
        iterable = self._range(statement, frame) or self.evaluator.evaluate(statement.iterable, frame)
        name = statement.variable
        if isinstance(iterable, TableValue):
            items: Iterator[Value] = self._rows(iterable, statement.iterable.span)
            scope = iterable.name
        elif isinstance(iterable, tuple):
            items = iter(iterable)
            scope = name.text
        else:
            raise self.report.stop(
                error(
                    "MN0312",
                    f"`for` needs a table, a list or range(…), got {describe(iterable)}",
                    at=statement.iterable.span,
                    help=f"range({iterable}) counts from 0" if type(iterable) is int else "",
                )
            )
        label = statement.label or name
        scope = scope if statement.label is None else statement.label.text
        with self.layers.scope(scope, self.layers.visible(label.span, frame.in_library)):
            for index, item in enumerate(items):
                self.evaluator.step(statement.span)
                frame.set(name, item)
                with self.layers.scope(str(index), statement.span):
                    self.statements(statement.body, frame)
        frame.variables.pop(name.text, None)

    def _range(self, statement: ast.For, frame: Frame) -> tuple[Value, ...] | None:
        """Values of `range(stop)` or `range(start, stop)`, which exists only behind `in`."""
        call = statement.iterable
        if not isinstance(call, ast.Call) or call.callee.text != "range":
            return None
        numbers = [self.evaluator.evaluate(argument.value, frame) for argument in call.arguments]
        if len(numbers) not in (1, 2) or not all(type(number) is int for number in numbers):
            raise self.report.stop(
                error("MN0301", "`range` needs one or two ints: range(stop) or range(start, stop)", at=call.span)
            )
        ints = [number for number in numbers if isinstance(number, int)]
        start, stop = (0, ints[0]) if len(ints) == 1 else (ints[0], ints[1])
        if stop - start > bounds.MAX_ITERATIONS:
            raise self._too_many(stop - start, call.span)
        return tuple(range(start, stop))

    def _rows(self, table: TableValue, span: Span) -> Iterator[Value]:
        count = 0
        for cells in table.rows:
            row = dict(zip(table.columns, cells, strict=True))
            repeat = row.get("repeat", 1)
            if type(repeat) is not int or repeat < 0:
                raise self.report.stop(
                    error(
                        "MN0310",
                        f"column `repeat` must hold ints of at least 0, got {describe(repeat)}",
                        at=span,
                        also=(Label(table.span, "the table"),),
                    )
                )
            if count + repeat > bounds.MAX_ITERATIONS:
                raise self._too_many(count + repeat, span)
            for number in range(repeat):
                yield TableRow(table.name, row, count, number == 0)
                count += 1

    def _too_many(self, count: int, span: Span) -> Reported:
        return self.report.stop(
            error("MN0503", f"{count} iterations are more than {bounds.MAX_ITERATIONS}", at=span, label="this loop")
        )

    def _assert(self, statement: ast.Assert, frame: Frame) -> None:
        if not self.evaluator.condition(statement.condition, frame):
            message = "" if statement.message is None else f": {statement.message.value}"
            site = self.layers.visible(statement.span, frame.in_library)
            raise self.report.stop(
                error(
                    "MN0505",
                    f"assertion failed{message}",
                    at=site,
                    label="in this call" if site != statement.span else f"`{statement.condition.span.text}` is false",
                    also=(Label(statement.span, "asserted here"),) if site != statement.span else (),
                )
            )

    def _return(self, statement: ast.Return, frame: Frame) -> None:
        if frame.kind != "block":
            raise self.report.stop(
                error("MN0613", "`return` belongs in a block", at=statement.span, help="a model ends with `output`")
            )
        values = tuple(self.evaluator.evaluate(value, frame) for value in statement.values)
        if len(values) > 1:
            self.layers.offer(value.value for value in values if isinstance(value, Tensor))
        raise BlockReturn(values[0] if len(values) == 1 else values)

    def _only_in_model(self, what: str, span: Span, frame: Frame) -> None:
        if frame.kind == "block":
            raise self.report.stop(
                error(
                    "MN0608",
                    f"`{what}` belongs in a model, not in a block",
                    at=span,
                    help="a block takes tensors as parameters and gives them back with `return`",
                )
            )

    # Calls ------------------------------------------------------------------------------------------------------

    def _tensor_binary(
        self, operator: str, left: Value, right: Value, span: Span, frame: Frame, label: str | None
    ) -> Value:
        place = self.layers.visible(span, frame.in_library)
        return pair(self.layers, TENSOR_OPERATORS[operator], label, place, {"left": left, "right": right}, {})

    def _call(self, call: ast.Call, arguments: list[GivenArgument], frame: Frame, label: str | None) -> Value:
        name = call.callee.text
        definition = frame.scope.names.get(name)
        if isinstance(definition, BlockValue):
            return self._block(definition, call, arguments, frame, label)
        if name in OPERATIONS:
            return self._operation(name, call, arguments, frame, label)
        if definition is not None:
            raise self.report.stop(
                error(
                    "MN0306",
                    f"`{name}` is a model and cannot be called",
                    at=call.callee.span,
                    help="put the shared part into a block and call that from both models",
                )
            )
        raise self.report.stop(unknown_callee(call, frame))

    def _operation(
        self, name: str, call: ast.Call, arguments: list[GivenArgument], frame: Frame, label: str | None
    ) -> Value:
        operation = OPERATIONS[name]
        span = self.layers.visible(call.span, frame.in_library)
        if frame.in_library:
            arguments = [
                GivenArgument(
                    argument.name,
                    None if argument.name_span is None else span,
                    argument.value,
                    self.layers.visible(argument.span, True),
                )
                for argument in arguments
            ]
        count = len(self.report.diagnostics)
        bound = bind(self.report, name, "operation", operation.parameters, arguments, span)
        if len(self.report.diagnostics) != count:
            raise Reported
        if any(argument.value is POISON for argument in bound.values()):
            raise Reported
        return operation.build(Call(self.layers, label, span, bound))

    def _block(
        self, value: BlockValue, call: ast.Call, arguments: list[GivenArgument], frame: Frame, label: str | None
    ) -> Value:
        block, name = value.block, value.block.name.text
        site = self.layers.visible(call.span, frame.in_library)
        if block in self._active or self.layers.depth >= bounds.MAX_CALL_DEPTH:
            raise self.report.stop(
                error(
                    "MN0502",
                    f"block `{name}` calls itself" if block in self._active else "blocks are nested too deeply",
                    at=call.span,
                    label="called again here",
                    also=(Label(block.name.span, f"`{name}` is defined here"),),
                    help="blocks are expanded at compile time; repeat layers with `for`",
                )
            )
        definition = None if value.home.is_library else block.name.span
        count = len(self.report.diagnostics)
        bound = bind(self.report, name, "block", self.parameters(block, value.home), arguments, call.span, definition)
        if len(self.report.diagnostics) != count:
            raise Reported
        inner = Frame(value.home, kind="block")
        for parameter in block.parameters:
            inner.set(parameter.name, bound[parameter.name.text].value)
        self._active.append(block)
        try:
            with self.layers.call(site, frame.in_library):
                if label is None:
                    return self._block_body(block, inner, call.span)
                with self.layers.scope(label, site):
                    return self._block_body(block, inner, call.span)
        finally:
            self._active.pop()

    def _block_body(self, block: ast.Block, frame: Frame, span: Span) -> Value:
        count = len(self.report.diagnostics)
        try:
            self.statements(block.body, frame)
        except BlockReturn as result:
            return result.value
        if len(self.report.diagnostics) == count:
            self.report.add(
                error(
                    "MN0314",
                    f"block `{block.name.text}` ends without `return`",
                    at=block.name.span,
                    label="this block",
                    also=(Label(span, "called here"),),
                    help="give the result back: `return x`",
                )
            )
        raise Reported


def assigned_names(statement: ast.Statement) -> Iterator[ast.Identifier]:
    """Variables that a statement would have set."""
    match statement:
        case ast.Assign():
            yield from statement.targets
        case ast.Input() | ast.Output() | ast.Table():
            yield statement.name
        case ast.For():
            for inner in statement.body:
                yield from assigned_names(inner)
        case ast.If():
            for inner in (*statement.then, *statement.otherwise):
                yield from assigned_names(inner)
        case ast.Assert() | ast.Return():
            return
