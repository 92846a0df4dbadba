"""Name symmetry: an operation has a module of one name among definitions, interpreter, backends and tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mnetdsl
from mnetdsl.backends.c.ops import RULES
from mnetdsl.backends.iree.ops import EMITTERS
from mnetdsl.cost import macs
from mnetdsl.interpreter.ops import EVALUATIONS
from mnetdsl.ir.core import Op
from mnetdsl.ir.ops import FLOAT_OPERATIONS, OPERATIONS

PACKAGE = Path(mnetdsl.__file__).parent
TESTS = Path(__file__).parents[1]
SIBLINGS = {
    "definition": PACKAGE / "ir/ops",
    "interpreter": PACKAGE / "interpreter/ops",
    "C backend": PACKAGE / "backends/c/ops",
    "IREE backend": PACKAGE / "backends/iree/ops",
    "PyTorch module": PACKAGE / "training/ops",
}
NO_C_CODE = {"constant", "reshape"}
"""The one is a table, the other another view of the same bytes."""
MODULES = sorted({kind.__module__.rpartition(".")[2] for kind in FLOAT_OPERATIONS.values()})


@pytest.mark.parametrize("module", MODULES)
def test_each_part_has_a_module_of_the_name(module: str) -> None:
    missing = [part for part, folder in SIBLINGS.items() if not (folder / f"{module}.py").is_file()]
    if not (TESTS / f"interpreter/ops/test_{module}.py").is_file():
        missing.append("test of the interpreter")
    assert not missing, f"{module}.py has no sibling in: {', '.join(missing)}"


def test_each_table_has_each_operation() -> None:
    opcodes = set(FLOAT_OPERATIONS)
    assert set(EVALUATIONS) == opcodes
    assert set(EMITTERS) == opcodes
    assert set(RULES) == opcodes - NO_C_CODE
    assert set(macs.RULES) == set(OPERATIONS)


def test_the_table_names_every_class_under_its_opcode() -> None:
    for opcode, kind in OPERATIONS.items():
        assert kind.opcode == opcode
        assert issubclass(kind, Op)


@pytest.mark.parametrize("opcode", sorted(OPERATIONS))
def test_each_operation_is_documented(opcode: str) -> None:
    kind = OPERATIONS[opcode]
    text = "".join(base.__doc__ or "" for base in kind.__mro__ if base.__module__.startswith("mnetdsl.ir.ops"))
    assert re.search(r"->", text), f"{opcode} does not say its shapes"


def test_every_epilogue_function_is_an_operation() -> None:
    from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS

    assert set(UNARY_FUNCTIONS) <= set(OPERATIONS)
