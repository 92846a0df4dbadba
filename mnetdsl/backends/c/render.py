"""C program model to files. The templates see the model as `p`, its prefix as `m` and its macro prefix as `M`."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mnetdsl import resources
from mnetdsl.backends.c.identifiers import string_literal
from mnetdsl.backends.c.literals import array_body
from mnetdsl.backends.c.program import ArenaLine, CPort, Program


def render(program: Program) -> dict[str, bytes]:
    """All files of a model by name."""
    name = program.name
    printer = _Printer(program)
    library = [f"{name}.c", f"{name}_weights.c"]
    library += [f"{name}_labels.c"] if any(port.labels for port in program.outputs) else []
    library += [f"{name}_selftest.c"] if program.selftest else []
    headers = [f"{name}.h", f"{name}_port.h", f"{name}_weights.h"]
    kernels = [printer.text(f"kernels/{source}.c").strip("\n") for source in program.sources]
    kernels += [
        printer.text(f"kernels/{kernel.source}.c", function=kernel.function, **dict(kernel.values)).strip("\n")
        for kernel in program.kernels
    ]
    texts = {
        f"{name}.h": printer.text("header.h"),
        f"{name}_port.h": printer.text("port.h"),
        f"{name}.c": printer.text("model.c", kernels=kernels),
        f"{name}_weights.h": printer.text("weights.h"),
        f"{name}_main.c": printer.text("main.c"),
        "Makefile": printer.text("Makefile", library=library, headers=headers),
        "CMakeLists.txt": printer.text("CMakeLists.txt", library=library),
    }
    if f"{name}_labels.c" in library:
        texts[f"{name}_labels.c"] = printer.text("labels.c")
    if program.selftest:
        texts[f"{name}_selftest.c"] = printer.text("selftest.c")
    files = {file: text.encode() for file, text in texts.items()}
    files[f"{name}_weights.c"] = printer.weights()
    files["manifest.json"] = _manifest(program, files)
    return dict(sorted(files.items()))


def host_files(program: Program) -> dict[str, bytes]:
    """What `host.HostLibrary` builds beside the model's own files."""
    printer = _Printer(program)
    return {name: printer.text(name.removeprefix("mnet_")).encode() for name in ("mnet_host.h", "mnet_host.c")}


class _Printer:
    def __init__(self, program: Program) -> None:
        self._environment = _environment()
        self._program = program
        self._shared = {"p": program, "m": program.name, "M": program.macro}

    def text(self, template: str, **values: object) -> str:
        """A template's text; no line ends in blanks, the file ends in one line feed."""
        text = self._environment.get_template(f"{template}.jinja").render(**self._shared, **values)
        return "\n".join(line.rstrip() for line in text.strip("\n").split("\n")) + "\n"

    def weights(self) -> bytes:
        """Tens of megabytes of digits: formatted table by table, laid out once."""
        bodies = [array_body(table.values) for table in self._program.weights]
        return self._environment.get_template("weights.c.jinja").render(**self._shared, bodies=bodies).encode()


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(resources.templates_folder() / "c"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["c_string"] = string_literal
    environment.filters["wrapped"] = _wrapped
    environment.filters["wrapped_at"] = lambda text, indent: " " * indent + _wrapped(text, indent)
    return environment


def _wrapped(text: str, indent: int) -> str:
    """Code on lines of at most 120 characters, broken behind commas; `indent` blanks stand before it already."""
    lines = textwrap.wrap(
        text,
        width=120,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 4),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).lstrip(" ")


def _manifest(program: Program, files: dict[str, bytes]) -> bytes:
    """What build systems and tools want to know, without reading C."""
    content = {
        "model": program.name,
        "compiler": {"name": "mnetdsl", "version": program.version},
        "api_version": program.api_version,
        "program_sha256": program.program_hash,
        "weights_sha256": program.weights_hash,
        "arena": {
            "bytes": program.arena_bytes,
            "alignment": program.arena_alignment,
            "lower_bound": program.lower_bound,
            "peak": {
                "layer": program.peak_layer,
                "buffers": _buffers(program.peak_buffers),
            },
        },
        **_arenas(program),
        "weight_bytes": program.weight_bytes,
        "libm": list(program.libm),
        "inputs": [_port(port) for port in program.inputs],
        "outputs": [_port(port) for port in program.outputs],
        "layers": [
            {"index": layer.index, "name": layer.name, "op": layer.opcode, "output_bytes": layer.output_bytes}
            for layer in program.layers
        ],
        "files": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in sorted(files.items())
        },
    }
    return (json.dumps(content, indent=2, ensure_ascii=True) + "\n").encode()


def _buffers(lines: Sequence[ArenaLine]) -> list[dict[str, object]]:
    return [{"name": line.name, "offset": line.offset, "bytes": line.size} for line in lines]


def _arenas(program: Program) -> dict[str, object]:
    """Where there are several: of what `arena` says of all."""
    if len(program.arenas) == 1:
        return {}
    return {
        "arenas": [
            {
                "name": arena.name,
                "memory": arena.memory,
                "bytes": arena.bytes,
                "lower_bound": arena.lower_bound,
                "peak": {"layer": arena.peak_layer, "buffers": _buffers(arena.peak_buffers)},
            }
            for arena in program.arenas
        ]
    }


def _port(port: CPort) -> dict[str, object]:
    return {
        "name": port.name,
        "type": port.type,
        "shape": list(port.shape),
        "bytes": port.bytes,
        "notes": list(port.notes),
        "labels": list(port.labels),
    }
