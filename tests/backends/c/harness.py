"""Builds modules out of many small cases, runs them as C and on the interpreter, and compares."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnetdsl.backends.c.choice import Choice, Rule
from mnetdsl.backends.c.host import HostRunner
from mnetdsl.backends.c.ops import RULES
from mnetdsl.interpreter import run
from mnetdsl.ir.core import Module, Value
from mnetdsl.ir.ops import OPERATIONS
from mnetdsl.ir.types import ElementType, TensorType
from tests.graphs import GraphMaker
from tests.toolchain import require

Array = NDArray[Any]
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


def sources(program: Path) -> dict[str, bytes]:
    """A C program of these tests with the header that it reads its statuses by."""
    return {path.name: path.read_bytes() for path in (program, Path(__file__).parent / "expect.h")}


class Cases:
    """A module of independent cases, each a chain: input, clamp, the case, clamp, output.

    The clamps let none of the values through unchanged by accident and put input and output of the case into the
    arena, where the planner overlaps them as far as the kernel's mode allows.
    """

    def __init__(self, name: str = "cases", seed: int = 0) -> None:
        self.maker = GraphMaker(name, seed)
        self.count = 0

    def op(self, opcode: str, operands: dict[str, Any], **attributes: Any) -> Value:
        return self.maker.builder.add(OPERATIONS[opcode], operands=operands, **attributes).result

    def input(self, *shape: int, element: ElementType = ElementType.F32) -> Value:
        self.count += 1
        return self.maker.builder.input(f"in{self.count}", TensorType((1, *shape), element)).value

    def value(self, *shape: int) -> Value:
        """A value in the arena."""
        return self.op("clamp", {"input": self.input(*shape)}, low=-50.0, high=50.0)

    def weight(self, *shape: int) -> Value:
        fan = max(1, int(np.prod(shape[:-1])))
        return self.maker.random_constant(f"w{len(self.maker.module.resources)}", *shape, scale=fan**-0.5)

    def finish(self, value: Value) -> None:
        """Sends a value from the arena to an output."""
        last = self.op("clamp", {"input": value}, low=-50.0, high=50.0)
        self.maker.builder.output(f"out{len(self.maker.module.graph.outputs) + 1}", last)

    @property
    def module(self) -> Module:
        return self.maker.module


def random_inputs(module: Module, batch: int = 1, seed: int = 1) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for port in module.graph.inputs:
        shape = (batch, *port.value.type.shape[1:])
        if port.value.type.element.is_float:
            arrays[port.name] = (random.standard_normal(shape) * 3).astype(np.float32)
        else:
            limits = np.iinfo(port.value.type.element.dtype)
            arrays[port.name] = random.integers(limits.min, limits.max + 1, shape).astype(limits.dtype)
    return arrays


def assert_same(found: dict[str, Array], wanted: dict[str, Array], relative: float = 2e-6) -> None:
    assert found.keys() == wanted.keys()
    for name in wanted:
        scale = max(float(np.abs(wanted[name]).max()), 1e-6)
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=relative * scale, err_msg=name)


def check_cases(module: Module) -> HostRunner:
    """The module as C answers what the interpreter answers."""
    require("gcc")
    inputs = random_inputs(module)
    runner = HostRunner(module)
    assert_same(runner.run(inputs), run(module, inputs))
    return runner


def only_mode(monkeypatch: pytest.MonkeyPatch, opcode: str, mode: str) -> None:
    """Leaves an operation's kernel one mode, so that the planner cannot choose another."""
    rule = RULES[opcode]

    def choose(op: Any) -> Choice:
        choice = rule.choose(op)
        kept = tuple(item for item in choice.modes if item.name == mode)
        return replace(choice, modes=kept) if kept else choice

    monkeypatch.setitem(RULES, opcode, Rule(choose, rule.emit))


def modes_used(runner: HostRunner, opcode: str) -> set[str]:
    package = runner.package
    return {
        step.mode.name
        for op, step in zip(package.operations, package.plan.steps, strict=True)
        if op is not None and op.opcode == opcode
    }


def overlaps(runner: HostRunner, opcode: str) -> int:
    """Layers of an operation whose result shares bytes with an operand."""
    package = runner.package
    count = 0
    for op in package.operations:
        if op is None or op.opcode != opcode:
            continue
        written = package.plan.buffer(op.result)
        for value in op.operands:
            read = package.plan.buffer(value) if value.producer is None or value.producer.opcode != "constant" else None
            if (
                written
                and read
                and written.offset < read.offset + read.size
                and read.offset < written.offset + written.size
            ):
                count += 1
                break
    return count


def run_command(command: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """Output of a command that must succeed."""
    import os

    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


CaseBuilder = Callable[[Cases], None]
