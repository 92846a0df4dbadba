"""What stands beside a `.vmfb`: how to call it and how it was made. No dates, no paths."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mnetdsl.ir.core import Module, Port, Value
from mnetdsl.ir.types import ElementType, TensorType

FORMAT = 1


@dataclass(frozen=True)
class PortInfo:
    """One argument or result of the function: `shape` [1, …] with a batch of one, `element` as in the IR.

    `attributes` repeats what the network declares beside it: `color`, `mean`, `std`, `labels`.
    """

    name: str
    shape: tuple[int, ...]
    element: str
    attributes: dict[str, object]

    @staticmethod
    def of(port: Port) -> PortInfo:
        return PortInfo(port.name, port.value.type.shape, port.value.type.element.value, dict(port.attributes))

    @property
    def dtype(self) -> str:
        return ElementType(self.element).dtype


@dataclass(frozen=True)
class Manifest:
    """How to call function `function` of the module, the compiler and flags that made it, and the module's SHA-256.

    `precision` is what float maps and weights are stored in: f32 or bf16. `threads` is how many the module was
    arranged for, None for no number; it runs on any. `features` are those of the processor that its kernels need, as
    `processor.recorded` gives them, `capabilities` what shaders need of a Vulkan device (`shaders.needs`).
    """

    name: str
    target: str
    iree: str
    flags: tuple[str, ...]
    sha256: str
    function: str
    inputs: tuple[PortInfo, ...]
    outputs: tuple[PortInfo, ...]
    precision: str = "f32"
    threads: int | None = None
    features: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()

    def signature(self) -> Module:
        """A module without operations whose ports are the function's: what its inputs are checked against."""
        module = Module(self.name)
        for port in self.inputs:
            module.graph.inputs.append(Port(port.name, Value(TensorType(port.shape, ElementType(port.element)))))
        return module

    def to_json(self) -> bytes:
        return (json.dumps({"format": FORMAT, **asdict(self)}, indent=2) + "\n").encode()

    @staticmethod
    def from_json(data: bytes) -> Manifest:
        """Raises one of Python's own errors for malformed data where `data` is no manifest of this format."""
        content = json.loads(data)
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, expected {FORMAT}")
        return Manifest(
            name=str(content["name"]),
            target=str(content["target"]),
            iree=str(content["iree"]),
            flags=tuple(str(flag) for flag in content["flags"]),
            sha256=str(content["sha256"]),
            function=str(content["function"]),
            inputs=tuple(_port(item) for item in content["inputs"]),
            outputs=tuple(_port(item) for item in content["outputs"]),
            precision=str(content.get("precision", "f32")),
            features=tuple(str(name) for name in content.get("features", ())),
            capabilities=tuple(str(name) for name in content.get("capabilities", ())),
            threads=None if content.get("threads") is None else int(content["threads"]),
        )


def _port(item: dict[str, object]) -> PortInfo:
    shape, attributes = item["shape"], item["attributes"]
    if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape):
        raise ValueError(f"shape {shape!r}")
    if not isinstance(attributes, dict):
        raise ValueError(f"attributes {attributes!r}")
    return PortInfo(str(item["name"]), tuple(shape), ElementType(item["element"]).value, attributes)
