"""Reads a pickle as data. Nothing is imported, created or called: what a pickle asks to be called becomes a `Call`.

A state dict needs few opcodes: containers, texts, numbers, names of functions and references to storages. The names
stay names, so that the reader of the format (`pytorch`) decides what the calls that it knows mean and ignores the
others.
Source: the opcodes as documented by Python's `pickletools`.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import Any

MAX_OPCODES = 5_000_000
"""A state dict of 10,000 tensors takes some 500,000."""
_DANGEROUS = frozenset(
    (
        "builtins",
        "__builtin__",
        "os",
        "posix",
        "nt",
        "subprocess",
        "sys",
        "shutil",
        "socket",
        "runpy",
        "importlib",
        "pty",
    )
)
"""Modules that no checkpoint has a use for calling."""
_HARMLESS_BUILTINS = frozenset(
    ("set", "frozenset", "list", "dict", "tuple", "int", "float", "complex", "bool", "str", "slice", "range", "bytes")
)


class PickleError(ValueError):
    """The stream is damaged or no plain pickle; the text says how."""


class DangerousPickle(Exception):
    """The stream asks for a function that only an attack calls; `name` is that function."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Name:
    """`module.name` of something outside the pickle."""

    text: str


@dataclass(eq=False)
class Call:
    """`function(*arguments)`, which nobody has called. What unpickling would set on its result is in `state`."""

    function: Name
    arguments: tuple[Any, ...]
    items: dict[Any, Any] = field(default_factory=dict)
    state: Any = None


@dataclass(frozen=True)
class Persistent:
    """A reference to something beside the pickle, such as a storage."""

    identity: Any


class _Mark:
    pass


def read_pickle(data: bytes) -> Any:
    """The object tree of a pickle. Raises `PickleError` where it is damaged, `DangerousPickle` for what attacks do."""
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count > MAX_OPCODES:
                raise PickleError(f"it has more than {MAX_OPCODES} instructions")
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError) as problem:
        # genops and a stack that does not hold what the opcode needs
        if isinstance(problem, PickleError):
            raise
        raise PickleError("its instructions do not fit together") from None
    raise PickleError("it ends in the middle")


class _Machine:
    """The stack and memo of the pickle virtual machine."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        value = self.stack.pop()
        if isinstance(value, _Mark):
            raise PickleError("its instructions do not fit together")
        return value

    def until_mark(self) -> list[Any]:
        items: list[Any] = []
        while not isinstance(value := self.stack.pop(), _Mark):
            items.append(value)
        return items[::-1]

    def step(self, name: str, argument: Any) -> None:
        push = self.stack.append
        match name:
            case "PROTO" | "FRAME":
                return
            case "MARK":
                push(_Mark())
            case "NONE":
                push(None)
            case "NEWTRUE":
                push(True)
            case "NEWFALSE":
                push(False)
            case "EMPTY_DICT":
                push({})
            case "EMPTY_LIST" | "EMPTY_SET":
                push([])
            case "EMPTY_TUPLE":
                push(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                items = [self.pop() for _ in range(count)]
                push(tuple(items[::-1]))
            case "TUPLE" | "FROZENSET":
                push(tuple(self.until_mark()))
            case "LIST":
                push(self.until_mark())
            case "DICT":
                items = self.until_mark()
                push(dict(zip(items[::2], items[1::2], strict=True)))
            case "APPEND":
                value = self.pop()
                self._extend([value])
            case "APPENDS" | "ADDITEMS":
                items = self.until_mark()
                self._extend(items)
            case "SETITEM":
                value, key = self.pop(), self.pop()
                self._set([key, value])
            case "SETITEMS":
                items = self.until_mark()
                self._set(items)
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                self.memo[argument] = self.stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "BINGET" | "LONG_BINGET" | "GET":
                push(self.memo[argument])
            case "GLOBAL":
                module, _, attribute = argument.partition(" ")
                push(_name(module, attribute))
            case "STACK_GLOBAL":
                attribute, module = self.pop(), self.pop()
                push(_name(module, attribute))
            case "BINPERSID":
                push(Persistent(self.pop()))
            case "PERSID":
                push(Persistent(argument))
            case "REDUCE" | "NEWOBJ":
                arguments, function = self.pop(), self.pop()
                push(_call(function, arguments))
            case "NEWOBJ_EX":
                self.pop()
                arguments, function = self.pop(), self.pop()
                push(_call(function, arguments))
            case "BUILD":
                state = self.pop()
                if isinstance(self.stack[-1], Call):
                    self.stack[-1].state = state
            case "POP":
                self.stack.pop()
            case "POP_MARK":
                self.until_mark()
            case "DUP":
                push(self.stack[-1])
            case _ if argument is not None and isinstance(argument, int | float | str | bytes | bytearray):
                push(argument)
            case _:
                raise PickleError(f"it uses the instruction {name}, which no checkpoint needs")

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Call):
            raise PickleError("its instructions do not fit together")

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        pairs = list(zip(items[::2], items[1::2], strict=True))
        if isinstance(target, Call):
            target = target.items
        if not isinstance(target, dict):
            raise PickleError("its instructions do not fit together")
        for key, value in pairs:
            target[key] = value


def _name(module: object, attribute: object) -> Name:
    if not isinstance(module, str) or not isinstance(attribute, str):
        raise PickleError("its instructions do not fit together")
    if module.partition(".")[0] in _DANGEROUS:
        in_builtins = module in ("builtins", "__builtin__")
        if not (in_builtins and attribute in _HARMLESS_BUILTINS):
            raise DangerousPickle(f"{module}.{attribute}")
    return Name(f"{module}.{attribute}")


def _call(function: object, arguments: object) -> Call:
    if not isinstance(function, Name) or not isinstance(arguments, tuple):
        raise PickleError("its instructions do not fit together")
    return Call(function, arguments)
