"""`mnet run`: a network on images or arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnetdsl.cli.options import json_option, load_with_weights, network_options, place, resize_option, weights_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnetdsl.images import Resize
    from mnetdsl.ir.core import Port
    from mnetdsl.sema.values import Constant

    Array = NDArray[np.generic]


@click.command(
    epilog="""\b
Examples:
  mnet run net.mnet --weights net.safetensors --input cat.png
  mnet run net.mnet --input a.jpg --input b.jpg --resize crop --on c --top 3
  mnet run mobilenet_v2 --weights random:1 --input random:7 --output logits.npy
  mnet run two.mnet --input left=a.png --input right=b.npy --format json
  mnet run net.mnet --input cat.png --save-inputs build --output build/expected.bin
"""
)
@network_options
@weights_option
@click.option(
    "--input",
    "inputs",
    metavar="[NAME=]FILE",
    multiple=True,
    required=True,
    help="An image, a .npy array, a .bin dump, or random:SEED. Several for one input make a batch; NAME chooses "
    "the input where there are several.",
)
@resize_option("none")
@click.option("--on", metavar="BACKEND", default="numpy", show_default=True, help="Where to run; see `mnet targets`.")
@click.option(
    "--top",
    type=click.IntRange(1),
    metavar="N",
    default=5,
    show_default=True,
    help="How many classes to print per image.",
)
@click.option(
    "--output",
    type=place,
    metavar="FILE",
    help="Save the outputs: .npz for all by name, .npy for one output, .bin for its raw elements alone.",
)
@click.option(
    "--save-inputs",
    "inputs_folder",
    type=place,
    metavar="DIR",
    help="Save what the network is given as DIR/NAME.bin: raw elements, as the main of generated C reads them.",
)
@json_option
def command(
    file: str,
    parameters: Mapping[str, Constant],
    model: str | None,
    weights: str | None,
    inputs: tuple[str, ...],
    resize: str,
    on: str,
    top: int,
    output: str | None,
    inputs_folder: str | None,
    layout: str,
) -> None:
    """Run FILE on images and print the best classes.

    FILE is a .mnet file, a folder that holds one, or a network of the zoo. Images are preprocessed as the network
    declares.
    """
    from mnetdsl.backends.runners import check_backend
    from mnetdsl.cli.console import print_json, working
    from mnetdsl.images import Resize

    check_backend(on)
    network = load_with_weights(file, parameters, model, weights)
    ports = network.module.graph.outputs
    if output is not None:
        _check_output(output, ports)
    arrays, names = _read_inputs(inputs, network.module.graph.inputs, Resize(resize))
    if inputs_folder is not None:
        _save_inputs(inputs_folder, arrays)
    with working(f"running {network.name} on {on}"):
        results = network.run(arrays, on=on)
    if output is not None:
        _save(output, {port.name: results[port.name] for port in ports})
    if layout == "json":
        outputs = {port.name: _output_json(port, results[port.name], top) for port in ports}
        print_json({"name": network.name, "on": on, "inputs": names, "outputs": outputs})
        return
    for port in ports:
        _print_output(port, results[port.name], names, top, several=len(ports) > 1)


def _read_inputs(given: Sequence[str], ports: Sequence[Port], resize: Resize) -> tuple[dict[str, Array], list[str]]:
    """Arrays `[N, …]` by input, and a name for each of the N rows: that of the file for the first input."""
    import numpy as np

    pieces: dict[str, list[Array]] = {port.name: [] for port in ports}
    names: list[str] = []
    for text in given:
        port, source = _split_input(text, ports)
        array = _read_input(source, port, resize)
        pieces[port.name].append(array)
        if port is ports[0]:
            count = len(array)
            names.extend([source] if count == 1 else [f"{source}[{index}]" for index in range(count)])
    for name, arrays in pieces.items():
        if not arrays:
            raise _input_error(f"input `{name}` is not given", f"add `--input {name}=FILE`")
    counts = {name: sum(len(array) for array in arrays) for name, arrays in pieces.items()}
    if len(set(counts.values())) > 1:
        listing = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise _input_error(f"the inputs are not equally many: {listing}", "give one file of each")
    return {name: np.concatenate(arrays) for name, arrays in pieces.items()}, names


def _split_input(text: str, ports: Sequence[Port]) -> tuple[Port, str]:
    """The input that `[NAME=]FILE` is for, and FILE."""
    from mnetdsl.diagnostics.suggest import did_you_mean

    name, separator, source = text.partition("=")
    for port in ports:
        if separator and port.name == name:
            return port, source
    listing = ", ".join(port.name for port in ports)
    if separator and name.isidentifier() and not Path(text).exists():
        suggestion = did_you_mean(name, [port.name for port in ports])
        meant = f"did you mean `--input {suggestion}={source}`? " if suggestion else ""
        raise _input_error(f"`--input {text}`: there is no input `{name}`", f"{meant}inputs: {listing}")
    if len(ports) == 1:
        return ports[0], text
    raise _input_error(
        f"`--input {text}` does not say which input it is for", f"write `--input NAME={text}`; inputs: {listing}"
    )


def _input_error(message: str, help: str) -> Exception:
    from mnetdsl.diagnostics import ExitCode, MnetError, error

    return MnetError(error("MN1403", message, help=help), exit_code=ExitCode.USAGE)


def _read_input(source: str, port: Port, resize: Resize) -> Array:
    from mnetdsl.images import load_input, random_input

    kind, separator, seed = source.partition(":")
    if kind == "random" and separator and seed.isdecimal():
        return random_input(port, int(seed))
    if kind == "random" and not Path(source).exists():
        raise _input_error(f"`{source}` is no seed for a random input", "write it with a whole number: `random:1`")
    return load_input(source, port, resize)


def _check_output(output: str, ports: Sequence[Port]) -> None:
    suffix = Path(output).suffix.lower()
    if suffix == ".npz" or (suffix in (".npy", ".bin") and len(ports) == 1):
        return
    if suffix in (".npy", ".bin"):
        raise click.UsageError(f"--output {output}: the network has {len(ports)} outputs, name an .npz file for them")
    raise click.UsageError(f"--output {output}: outputs are saved as .npy, .npz or .bin")


def _save(output: str, results: Mapping[str, Array]) -> None:
    from mnetdsl.cli.console import talk
    from mnetdsl.files import write_whole
    from mnetdsl.images import save_output
    from mnetdsl.weights import save_weights

    suffix = Path(output).suffix.lower()
    if suffix == ".npz":
        save_weights(output, results)
    elif suffix == ".bin":
        write_whole(output, _raw(next(iter(results.values()))))
    else:
        save_output(output, next(iter(results.values())))
    talk(f"wrote {output}")


def _save_inputs(folder: str, arrays: Mapping[str, Array]) -> None:
    """A file for each input, named after it; several images are numbered from 0."""
    from mnetdsl.cli.console import talk_of_files
    from mnetdsl.files import write_folder

    files = {
        f"{name}.bin" if len(array) == 1 else f"{name}_{index}.bin": _raw(row)
        for name, array in arrays.items()
        for index, row in enumerate(array)
    }
    write_folder(folder, files)
    talk_of_files(Path(folder) / name for name in files)


def _raw(array: Array) -> bytes:
    """Elements as little-endian machines have them."""
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def _labels(port: Port) -> tuple[str, ...]:
    labels = port.attributes.get("labels")
    return tuple(str(label) for label in labels) if isinstance(labels, tuple) else ()


def _best(row: Array, top: int) -> list[int]:
    """Indices of the largest values, the lower index first among equals."""
    import numpy as np

    return [int(index) for index in np.argsort(-row.astype(np.float64), kind="stable")[:top]]


def _counts(row: Array) -> list[tuple[int, int]]:
    """Classes of an image or of its places, and how often each is there, the most frequent first."""
    import numpy as np

    classes, counts = np.unique(row, return_counts=True)
    return sorted(zip(classes.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))


def _print_classes(row: Array, labels: Sequence[str], top: int) -> None:
    """The class, or for a map of classes the share that each takes of it."""
    found = _counts(row)
    if row.ndim:
        more = f", the largest {top}" if len(found) > top else ""
        print(f"  {'x'.join(map(str, row.shape))} of {len(found)} classes{more}")
    for index, count in found[:top]:
        share = f"{100 * count / row.size:>10.2f} %" if row.ndim else f"{'class':>12}"
        print(f"  {share}  {index:>5}{'  ' + labels[index] if labels else ''}")


def _real(port: Port, result: Array) -> Array:
    """The numbers that a quantized output stands for; others as they are."""
    import numpy as np

    quantization = port.value.type.quantization
    if quantization is None:
        return result
    return (result.astype(np.float64) - quantization.zero_point[0]) * quantization.scale[0]


def _output_json(port: Port, result: Array, top: int) -> dict[str, object]:
    from mnetdsl.ir.classes import holds_indices

    labels, quantization = _labels(port), port.value.type.quantization
    described: dict[str, object] = {"shape": list(result.shape), "element": result.dtype.name}
    if quantization is not None:
        described |= {"scale": quantization.scale[0], "zero_point": quantization.zero_point[0]}
    if holds_indices(port.value):
        described["classes"] = [
            [
                {"class": index, **({"label": labels[index]} if labels else {}), "count": count}
                for index, count in _counts(row)[:top]
            ]
            for row in result
        ]
    elif result.ndim == 2:
        described["top"] = [
            [
                {"class": index, **({"label": labels[index]} if labels else {}), "value": float(row[index])}
                for index in _best(row, top)
            ]
            for row in result
        ]
    else:
        described |= {"min": float(result.min()), "max": float(result.max()), "mean": float(result.mean())}
    return described


def _print_output(port: Port, result: Array, names: Sequence[str], top: int, *, several: bool) -> None:
    from mnetdsl.ir.classes import holds_indices

    labels, real = _labels(port), _real(port, result)
    for name, row in zip(names, real, strict=True):
        print(f"{name}  {port.name}" if several else name)
        if holds_indices(port.value):
            _print_classes(row, labels, top)
            continue
        if row.ndim != 1:
            sizes = "x".join(map(str, row.shape))
            print(f"  {sizes} {result.dtype.name}, {row.min():.6g} to {row.max():.6g}, mean {row.mean():.6g}")
            continue
        for index in _best(row, top):
            print(f"  {float(row[index]):>12.6g}  {index:>5}{'  ' + labels[index] if labels else ''}")
