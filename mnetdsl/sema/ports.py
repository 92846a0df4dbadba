"""Inputs with their declared preprocessing, outputs with their declared labels."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from mnetdsl.diagnostics import Label, error
from mnetdsl.diagnostics.suggest import meant
from mnetdsl.ir.classes import class_counts
from mnetdsl.ir.location import Location
from mnetdsl.ir.types import ElementType, TensorType
from mnetdsl.sema import bounds
from mnetdsl.sema.expressions import Evaluator, Frame
from mnetdsl.sema.layers import Layers
from mnetdsl.sema.report import Report, Reported
from mnetdsl.sema.values import Symbol, Tensor, Value, describe
from mnetdsl.source import Span
from mnetdsl.syntax import ast

INPUT_ELEMENTS = {"u8": ElementType.U8, "i8": ElementType.I8, "f32": ElementType.F32}
COLOR_CHANNELS = {"rgb": 3, "bgr": 3, "gray": 1}
MAX_LABEL_BYTES = 1 << 20


def input(statement: ast.Input, frame: Frame, layers: Layers, evaluator: Evaluator) -> None:
    """Adds an input port and the `normalize` operation that its element type and settings ask for."""
    report = evaluator.report
    element = INPUT_ELEMENTS.get(statement.element.text)
    if element is None:
        raise report.stop(
            error(
                "MN0603",
                f"an input cannot hold `{statement.element.text}`",
                at=statement.element.span,
                label=meant(statement.element.text, list(INPUT_ELEMENTS)),
                help=f"its elements are {', '.join(INPUT_ELEMENTS)}",
            )
        )
    type = TensorType((1, *_sizes(statement, frame, evaluator)), element)
    layers.check_size(type.shape, statement.span)
    _check_new(statement.name, "input", layers, report)
    settings = _settings(statement.settings, ("color", "mean", "std"), "input", frame, evaluator)
    span = layers.visible(statement.span, frame.in_library)
    port = layers.builder.input(statement.name.text, type, Location.of(span, statement.name.text))
    color = _color(settings.get("color"), type, report)
    if color is not None:
        port.attributes["color"] = color
    tensor = Tensor(port.value, statement.span)
    if element is not ElementType.F32 or "mean" in settings or "std" in settings:
        mean = _numbers("mean", settings.get("mean"), 0.0, type, report)
        std = _numbers("std", settings.get("std"), 1.0, type, report)
        operands = {"input": port.value}
        blame = {name: span for name, (_, span) in settings.items()}
        port.attributes |= {"mean": mean, "std": std}
        with suppress(Reported):  # the rest of the model can still be checked
            tensor = layers.add(
                "normalize", statement.name.text, span, dict(operands), {"mean": mean, "std": std}, blame
            )
    frame.set(statement.name, tensor)


def _sizes(statement: ast.Input, frame: Frame, evaluator: Evaluator) -> tuple[int, ...]:
    sizes: list[int] = []
    for item in statement.shape:
        size = evaluator.evaluate(item, frame)
        if type(size) is not int or not 1 <= size <= bounds.MAX_TENSOR_ELEMENTS:
            raise evaluator.report.stop(
                error(
                    "MN0310",
                    f"a size must be an int of at least 1, got {describe(size)}",
                    at=item.span,
                    help="the shape is [height, width, channels]; the batch is not written",
                )
            )
        sizes.append(size)
    return tuple(sizes)


def check_new_output(statement: ast.Output, layers: Layers, report: Report) -> None:
    """Reports a second output of the same name, before its layer would be blamed for having that name."""
    _check_new(statement.name, "output", layers, report)


def output(statement: ast.Output, value: Value, frame: Frame, layers: Layers, evaluator: Evaluator) -> None:
    """Adds an output port for an evaluated tensor."""
    report = evaluator.report
    if not isinstance(value, Tensor):
        raise report.stop(
            error("MN0607", f"an output must be a tensor, got {describe(value)}", at=statement.value.span)
        )
    settings = _settings(statement.settings, ("labels",), "output", frame, evaluator)
    span = layers.visible(statement.span, frame.in_library)
    port = layers.builder.output(statement.name.text, value.value, Location.of(span, statement.name.text))
    if "labels" in settings:
        labels = _labels(*settings["labels"], frame, report)
        counts = class_counts(value.value)
        if counts != {len(labels)}:
            classes = " and of ".join(f"{count} classes" for count in sorted(counts))
            raise report.stop(
                error(
                    "MN0614",
                    f"{len(labels)} labels for an output of {classes}",
                    at=settings["labels"][1],
                    label=f"{len(labels)} labels",
                    also=(Label(statement.value.span, classes),),
                )
            )
        port.attributes["labels"] = labels


def check_present(model: ast.Model, layers: Layers, report: Report) -> None:
    """A model without input or output computes nothing; said only where nothing else went wrong."""
    if report.diagnostics:
        return
    graph = layers.builder.graph
    if not graph.inputs:
        report.add(
            error(
                "MN0601",
                f"model `{model.name.text}` has no input",
                at=model.name.span,
                help="declare one: `input image: u8[224, 224, 3] { color = rgb, mean = 127.5, std = 127.5 }`",
            )
        )
    elif not graph.outputs:
        report.add(
            error(
                "MN0602",
                f"model `{model.name.text}` has no output",
                at=model.name.span,
                help="declare one: `output logits = dense(x, classes)`",
            )
        )


def _check_new(name: ast.Identifier, kind: str, layers: Layers, report: Report) -> None:
    first = layers.ports.get((kind, name.text))
    if first is not None:
        raise report.stop(
            error(
                "MN0606",
                f"there are two {kind}s `{name.text}`",
                at=name.span,
                label="the second one",
                also=(Label(first, "the first one"),) if first != name.span else (),
            )
        )
    layers.ports[kind, name.text] = name.span


def _settings(
    settings: tuple[ast.Setting, ...], known: tuple[str, ...], kind: str, frame: Frame, evaluator: Evaluator
) -> dict[str, tuple[Value, Span]]:
    found: dict[str, tuple[Value, Span]] = {}
    for setting in settings:
        name = setting.name.text
        if name not in known:
            evaluator.report.add(
                error(
                    "MN0604",
                    f"an {kind} has no setting `{name}`",
                    at=setting.name.span,
                    label=meant(name, known, "unknown setting"),
                    help=f"its settings: {', '.join(known)}",
                )
            )
            continue
        if name in found:
            evaluator.report.add(error("MN0305", f"`{name}` is set twice", at=setting.span, label="set again here"))
            continue
        with suppress(Reported):  # what the port is connected with can still be checked
            found[name] = (evaluator.evaluate(setting.value, frame), setting.value.span)
    return found


def _color(given: tuple[Value, Span] | None, type: TensorType, report: Report) -> str | None:
    channels = type.shape[-1]
    if given is None:
        return {1: "gray", 3: "rgb"}.get(channels) if type.rank == 4 else None
    value, span = given
    if not isinstance(value, Symbol) or value.text not in COLOR_CHANNELS:
        raise report.stop(
            error("MN0604", f"`color` must be one of {', '.join(COLOR_CHANNELS)}, got {describe(value)}", at=span)
        )
    if type.rank != 4 or COLOR_CHANNELS[value.text] != channels:
        raise report.stop(
            error(
                "MN0615",
                f"`color = {value.text}` needs {COLOR_CHANNELS[value.text]} channels, the input is {type}",
                at=span,
            )
        )
    return value.text


def _numbers(
    name: str, given: tuple[Value, Span] | None, default: float, type: TensorType, report: Report
) -> tuple[float, ...]:
    """`mean` or `std`: one number, or a list with one per channel. The length is checked by the operation."""
    if given is None:
        return (default,)
    value, span = given
    items = value if isinstance(value, tuple) else (value,)
    if not items or not all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
        raise report.stop(
            error("MN0301", f"`{name}` must be a number or a list of numbers, got {describe(value)}", at=span)
        )
    return tuple(float(item) for item in items if isinstance(item, int | float))


def _labels(value: Value, span: Span, frame: Frame, report: Report) -> tuple[str, ...]:
    """Labels from a list in the text, or from a file with one a line beside the `.mnet` file."""
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return tuple(item for item in value if isinstance(item, str))
    if not isinstance(value, str):
        raise report.stop(
            error("MN0301", f"`labels` must be a file name or a list of strings, got {describe(value)}", at=span)
        )
    path = Path(frame.scope.file.source.path).parent / value
    try:
        with path.open("rb") as stream:  # read with a limit: a device states no size
            data = stream.read(MAX_LABEL_BYTES + 1)
        if len(data) > MAX_LABEL_BYTES:
            raise _unreadable(report, span, path, f"is larger than {MAX_LABEL_BYTES} bytes")
        text = data.decode("utf-8-sig")
    except OSError as problem:
        raise _unreadable(report, span, path, problem.strerror or "cannot be read") from None
    except UnicodeDecodeError:
        raise _unreadable(report, span, path, "is not UTF-8") from None
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _unreadable(report: Report, span: Span, path: Path, why: str) -> Reported:
    return report.stop(
        error(
            "MN0616",
            f"cannot read labels from `{path}`: {why}",
            at=span,
            help="the file holds one label a line; its path is relative to the .mnet file",
        )
    )
