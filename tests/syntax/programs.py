"""Random programs that parse: for properties of the formatter, and as seeds of the fuzzer."""

from __future__ import annotations

from random import Random

NAMES = ("x", "y", "width", "row", "conv2d", "relu6", "same", "round8", "_a1")
TYPES = ("tensor", "int", "float", "bool", "string", "list", "activation", "symbol")
BINARY = ("+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "and", "or")


class ProgramMaker:
    """Writes programs with random layout: spaces, blank lines, comments in every place that allows one."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.comment_count = 0

    def program(self) -> str:
        parts = [self.gap(), "mnet", " ", "1", self.end()]
        for _ in range(self.random.randint(0, 4)):
            parts.append(self.random.choice((self.use, self.block, self.model, self.deploy))())
        return "".join(parts)

    # Layout

    def gap(self) -> str:
        """Blank lines and comments on lines of their own."""
        choice = self.random.random()
        if choice < 0.15:
            return "\n" * self.random.randint(1, 3)
        return f"{' ' * self.random.randint(0, 4)}{self.comment()}\n" if choice < 0.3 else ""

    def comment(self) -> str:
        self.comment_count += 1
        return f"# note {self.comment_count}"

    def end(self) -> str:
        """The end of a statement."""
        trailing = f"  {self.comment()}" if self.random.random() < 0.15 else ""
        return f"{' ' * self.random.randint(0, 2)}{trailing}\n{self.gap()}"

    def newline(self) -> str:
        """A place inside brackets, where a line may break."""
        choice = self.random.random()
        return "\n  " if choice < 0.1 else f" {self.comment()}\n" if choice < 0.15 else ""

    # Items

    def use(self) -> str:
        path = self.random.choice(("std.blocks", '"heads.mnet"', "zoo.mobilenet_v2"))
        names = [self.name() + self.maybe(f" as {self.name()}") for _ in range(self.random.randint(1, 3))]
        return f"use {path} {{ {', '.join(names)} }}{self.end()}"

    def block(self) -> str:
        return f"{self.docs()}block {self.name()}({self.parameters()}) {self.body()}{self.end()}"

    def model(self) -> str:
        return f"{self.docs()}model {self.name()}({self.parameters()}) {self.body()}{self.end()}"

    def deploy(self) -> str:
        entries = [self.random.choice((self.setting, self.section))() for _ in range(self.random.randint(0, 4))]
        text = "".join(f"{entry}{self.end()}" for entry in entries)
        arguments = self.maybe(f"({self.arguments()})")
        return f"{self.docs()}deploy {self.name()} of {self.name()}{arguments} {{{self.end()}{text}}}{self.end()}"

    def section(self) -> str:
        return f"{self.name()}{self.maybe(' ' + self.name())} {self.settings()}"

    def settings(self) -> str:
        settings = [self.setting() for _ in range(self.random.randint(0, 3))]
        separator = ", " if self.random.random() < 0.7 else "\n"
        return f"{{ {separator.join(settings)}{self.maybe(',') if settings else ''} }}"

    def setting(self) -> str:
        return f"{self.name()} = {self.expression(2)}"

    def docs(self) -> str:
        return "".join(f"/// line {number}\n" for number in range(self.random.choice((0, 0, 1, 2))))

    def parameters(self) -> str:
        count = self.random.randint(0, 4)
        parameters = [
            f"{self.newline()}{self.name()}: {self.random.choice(TYPES)}{self.maybe(f' = {self.expression(1)}')}"
            for _ in range(count)
        ]
        return ",".join(parameters) + (self.maybe(",") if parameters else "")

    # Statements

    def body(self, depth: int = 0) -> str:
        statements = [f"{self.statement(depth)}{self.end()}" for _ in range(self.random.randint(0, 4))]
        return f"{{{self.end()}{''.join(statements)}}}"

    def statement(self, depth: int) -> str:
        kinds = [self.assign, self.input, self.output, self.table, self.check, self.result]
        if depth < 2:
            kinds += [lambda: self.loop(depth), lambda: self.branch(depth)]
        return self.random.choice(kinds)()

    def assign(self) -> str:
        targets = ", ".join(self.name() for _ in range(self.random.choice((1, 1, 1, 2))))
        return f"{targets} = {self.expression(3)}{self.label()}"

    def input(self) -> str:
        sizes = ", ".join(self.expression(1) for _ in range(self.random.randint(1, 3)))
        return f"input {self.name()}: u8[{sizes}]{self.maybe(' ' + self.settings())}"

    def output(self) -> str:
        return f"output {self.name()} = {self.expression(2)}{self.label()}{self.maybe(' ' + self.settings())}"

    def table(self) -> str:
        columns = self.random.randint(1, 4)
        rows = "".join(
            " ".join(self.cell() for _ in range(columns)) + self.end() for _ in range(self.random.randint(0, 4))
        )
        header = " ".join(self.name() for _ in range(columns))
        return f"table {self.name()} {{{self.end()}{header}{self.end()}{rows}}}"

    def cell(self) -> str:
        atom = (self.number, self.name, self.string, lambda: "true", lambda: "-" + self.number())
        return self.random.choice((*atom, lambda: f"({self.expression(2)})"))()

    def loop(self, depth: int) -> str:
        return f"for {self.name()} in {self.expression(1)}{self.label()} {self.body(depth + 1)}"

    def branch(self, depth: int) -> str:
        text = f"if {self.expression(2)} {self.body(depth + 1)}"
        choice = self.random.random()
        if choice < 0.3:
            return f"{text} else {self.branch(depth + 1)}"
        return f"{text} else {self.body(depth + 1)}" if choice < 0.6 else text

    def check(self) -> str:
        return f"assert {self.expression(2)}{self.maybe(', ' + self.string())}"

    def result(self) -> str:
        return "return " + ", ".join(self.expression(2) for _ in range(self.random.randint(1, 2)))

    def label(self) -> str:
        return self.maybe(f" as {self.name()}")

    # Expressions

    def expression(self, depth: int) -> str:
        if depth == 0:
            return self.random.choice((self.number, self.name, self.string, lambda: "false"))()
        return self.random.choice(
            (
                lambda: self.expression(0),
                lambda: f"{self.operand(depth)} {self.random.choice(BINARY)} {self.operand(depth)}",
                lambda: f"not ({self.expression(depth - 1)})",
                lambda: f"-{self.operand(depth)}",
                lambda: f"{self.operand(depth)} if {self.operand(depth)} else {self.operand(depth)}",
                lambda: f"{self.operand(depth)}.{self.name()}",
                lambda: f"{self.operand(depth)}[{self.expression(depth - 1)}]",
                lambda: f"[{self.newline()}{', '.join(self.expression(depth - 1) for _ in range(2))}]",
                lambda: f"{self.name()}({self.arguments(depth - 1)}{self.newline()})",
            )
        )()

    def operand(self, depth: int) -> str:
        return f"({self.expression(depth - 1)})" if self.random.random() < 0.6 else self.expression(0)

    def arguments(self, depth: int = 1) -> str:
        arguments = [
            f"{self.newline()}{self.maybe(f'{self.name()} = ')}{self.expression(depth)}"
            for _ in range(self.random.randint(0, 4))
        ]
        return ",".join(arguments)

    def number(self) -> str:
        return self.random.choice(("0", "1", "64K", "2M", "1.5", "1e-3", "123456"))

    def name(self) -> str:
        return self.random.choice(NAMES)

    def string(self) -> str:
        return self.random.choice(('"a"', '""', '"quote \\" and # no comment"', '"Straße"'))

    def maybe(self, text: str) -> str:
        return text if self.random.random() < 0.3 else ""
