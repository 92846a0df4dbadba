"""Lays a weight file beside what a module expects, and says everything that does not fit in one go."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from mnetdsl.diagnostics import Diagnostic, MnetError, Severity, error
from mnetdsl.diagnostics.suggest import did_you_mean
from mnetdsl.ir.types import Shape
from mnetdsl.weights.entry import Entry
from mnetdsl.weights.expected import Expected
from mnetdsl.weights.listing import MAX_LISTED, count, listing, sizes
from mnetdsl.weights.warning import WeightsWarning

IGNORED_SUFFIX = ".num_batches_tracked"
"""PyTorch's counter beside each batch normalization: no weight."""

_PYTORCH_LAYOUTS: dict[str, tuple[tuple[int, ...], str]] = {
    "conv2d": ((2, 3, 1, 0), "PyTorch's [O, I, KH, KW]"),
    "depthwise_conv2d": ((2, 3, 0, 1), "PyTorch's [C, 1, KH, KW]"),
    "dense": ((1, 0), "PyTorch's [O, I]"),
}
"""Opcode -> transposition that turns the filter as PyTorch lays it out into ours."""
_LAYOUTS = {"conv2d": "[KH, KW, I, O]", "depthwise_conv2d": "[KH, KW, C, M]", "dense": "[I, O]"}


def match_weights(
    expected: Mapping[str, Expected], entries: Mapping[str, Entry], path: str
) -> dict[str, NDArray[np.generic]]:
    """Arrays for all of `expected`, read from `entries`; raises `MnetError` with one diagnostic per kind of misfit."""
    found = {name: entry for name, entry in entries.items() if name in expected or not name.endswith(IGNORED_SUFFIX)}
    missing = [item for name, item in expected.items() if name not in found]
    surplus = [name for name in found if name not in expected]
    fitting = {name: entry for name, entry in found.items() if name in expected}
    misshapen = [name for name in expected if name in fitting and fitting[name].shape != expected[name].type.shape]
    problems = [
        *_report_missing(missing, surplus, path),
        *_report_surplus(surplus, missing, found, path),
        *_report_misshapen(misshapen, expected, fitting, path),
        *_report_elements(expected, fitting, path),
    ]
    if problems:
        raise MnetError(*problems)
    arrays, rounded = _read(expected, fitting)
    problems = [
        *_report_not_finite(arrays, path),
        *_report_negative(arrays, expected, path),
        *_report_scales(arrays, expected, path),
    ]
    if problems:
        raise MnetError(*problems)
    if rounded:
        warnings.warn(WeightsWarning(_rounding(rounded, path)), stacklevel=2)
    return arrays


def _read(
    expected: Mapping[str, Expected], fitting: Mapping[str, Entry]
) -> tuple[dict[str, NDArray[np.generic]], list[str]]:
    """Arrays in the declared element types, and the names of those that lost digits."""
    arrays: dict[str, NDArray[np.generic]] = {}
    rounded: list[str] = []
    for name, item in expected.items():
        read = fitting[name].read
        if read is None:
            raise AssertionError(f"{name} has an element type that was refused")
        values = read()
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite and is reported as such
            arrays[name] = values.astype(item.type.element.dtype, copy=False)
        if values.dtype == np.float64:
            rounded.append(name)
    return arrays, rounded


def _report_missing(missing: Sequence[Expected], surplus: Sequence[str], path: str) -> list[Diagnostic]:
    if not missing:
        return []
    lines = []
    for item in missing[:MAX_LISTED]:
        suggestion = did_you_mean(item.name, surplus)
        hint = f"; the file has `{suggestion}`" if suggestion else ""
        lines.append(f"{item.name}  {sizes(item.type.shape)}{hint}")
    names = [item.name for item in missing]
    prefix = _foreign_prefix(names, surplus)
    help = (
        f"all its names begin with `{prefix}`: save them without it"
        if prefix
        else "is this the file of the same network? `mnet summary` prints the names"
    )
    return [
        error(
            "MN0702",
            f"{count(len(missing), 'tensor')} missing from the weight file",
            location=path,
            notes=listing(lines, len(missing)),
            help=help,
        )
    ]


def _report_surplus(
    surplus: Sequence[str], missing: Sequence[Expected], found: Mapping[str, Entry], path: str
) -> list[Diagnostic]:
    # Misspelt names were already paired with the missing ones; what is said once is not said again.
    if not surplus or len(missing) >= len(surplus):
        return []
    lines = [f"{name}  {sizes(found[name].shape)}" for name in surplus[:MAX_LISTED]]
    return [
        error(
            "MN0703",
            f"the weight file has {count(len(surplus), 'tensor')} that the network does not use",
            location=path,
            notes=listing(lines, len(surplus)),
            help="the network differs from the one that was trained: check FILE and `--set`",
        )
    ]


def _report_misshapen(
    misshapen: Sequence[str], expected: Mapping[str, Expected], fitting: Mapping[str, Entry], path: str
) -> list[Diagnostic]:
    if not misshapen:
        return []
    lines = []
    transposed = False
    for name in misshapen[:MAX_LISTED]:
        wanted, given = expected[name].type.shape, fitting[name].shape
        hint = _permutation_hint(expected[name], given)
        transposed = transposed or bool(hint)
        lines.append(f"{name}  needs {sizes(wanted)}, the file has {sizes(given)}{hint}")
    help = (
        "save the filters as [KH, KW, I, O], depthwise ones as [KH, KW, C, M], dense ones as [I, O]"
        if transposed
        else (
            "was the network trained with other parameters? Set them: `--set alpha=…`, `--set classes=…`",
            "to start these layers anew and take the others: `mnet transfer`, or `load_partial` in Python",
        )
    )
    return [
        error(
            "MN0704",
            f"{count(len(misshapen), 'tensor')} of another shape than the network has",
            location=path,
            notes=listing(lines, len(misshapen)),
            help=help,
        )
    ]


def _permutation_hint(item: Expected, given: Shape) -> str:
    """What turns the file's array into ours, where only the order of the axes differs."""
    wanted = item.type.shape
    opcode = item.op.opcode if item.op is not None and item.operand == "filter" else ""
    if opcode in _PYTORCH_LAYOUTS:
        order, layout = _PYTORCH_LAYOUTS[opcode]
        if len(given) == len(order) and tuple(given[axis] for axis in order) == wanted:
            return f": {layout}, turn it into {_LAYOUTS[opcode]} with `transpose{order}`"
    if sorted(given) == sorted(wanted) and len(given) <= 4:
        order = next(
            order for order in permutations(range(len(given))) if tuple(given[axis] for axis in order) == wanted
        )
        return f": its axes are in another order, `transpose{order}` fits"
    return ""


def _report_elements(expected: Mapping[str, Expected], fitting: Mapping[str, Entry], path: str) -> list[Diagnostic]:
    lines = []
    for name, item in expected.items():
        entry = fitting.get(name)
        if entry is None:
            continue
        wanted = item.type.element
        is_float = entry.element.lower() in ("f16", "bf16", "f32", "f64", "float16", "float32", "float64")
        exact = entry.element.lower() in (wanted.dtype, wanted.value.replace("ui", "u"))
        if entry.read is None or not (is_float if wanted.is_float else exact):
            lines.append(f"{name}  {entry.element}, needs {wanted.dtype}")
    if not lines:
        return []
    return [
        error(
            "MN0705",
            f"{count(len(lines), 'tensor')} of an element type that does not fit",
            location=path,
            notes=listing(lines[:MAX_LISTED], len(lines)),
            help="float16, bfloat16, float32 and float64 are read; save the weights as float32",
        )
    ]


def _report_not_finite(arrays: Mapping[str, NDArray[np.generic]], path: str) -> list[Diagnostic]:
    lines = []
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            continue
        finite = np.isfinite(array)
        if not finite.all():
            index = tuple(int(i) for i in np.argwhere(~finite)[0])
            others = int(array.size - np.count_nonzero(finite)) - 1
            more = f", and {others} more" if others else ""
            lines.append(f"{name}  {array[index]} at [{', '.join(map(str, index))}]{more}")
    help = "the training diverged or the file is damaged: take an earlier checkpoint"
    return _listed("MN0706", "tensor", "with values that are not finite", lines, path, help)


def _report_negative(
    arrays: Mapping[str, NDArray[np.generic]], expected: Mapping[str, Expected], path: str
) -> list[Diagnostic]:
    lines = _first_of(arrays, expected, "variance", lambda array: np.signbit(array) & (array != 0))
    help = "is `running_var` exchanged with `running_mean` or `bias` in this file?"
    return _listed("MN0707", "variance", "below 0", lines, path, help)


def _report_scales(
    arrays: Mapping[str, NDArray[np.generic]], expected: Mapping[str, Expected], path: str
) -> list[Diagnostic]:
    lines = _first_of(arrays, expected, "filter_scale", lambda array: np.less_equal(array, 0.0))
    help = "a filter of zeros may have any scale above 0; `mnet quantize` writes such files"
    return _listed("MN0716", "layer", "with weight scales that are not above 0", lines, path, help)


def _listed(code: str, noun: str, wrong: str, lines: list[str], path: str, help: str) -> list[Diagnostic]:
    """One diagnostic for all `lines`, a line each `noun` that is `wrong`; none for none."""
    if not lines:
        return []
    return [
        error(
            code,
            f"{count(len(lines), noun)} {wrong}",
            location=path,
            notes=listing(lines[:MAX_LISTED], len(lines)),
            help=help,
        )
    ]


def _first_of(
    arrays: Mapping[str, NDArray[np.generic]],
    expected: Mapping[str, Expected],
    operand: str,
    wrong: Callable[[NDArray[np.generic]], NDArray[np.bool_]],
) -> list[str]:
    """For each vector that layers read as `operand` and that has wrong numbers the first of these."""
    lines = []
    for name, item in expected.items():
        if item.operand == operand and (places := np.flatnonzero(wrong(arrays[name]))).size:
            index = int(places[0])
            lines.append(f"{name}  {arrays[name].reshape(-1)[index]} at [{index}]")
    return lines


def _rounding(names: Sequence[str], path: str) -> Diagnostic:
    return Diagnostic(
        "MN0712",
        f"{count(len(names), 'tensor')} of float64 rounded to float32",
        location=path,
        help=("save the weights as float32 to see what is really computed",),
        severity=Severity.WARNING,
    )


def _foreign_prefix(missing: Sequence[str], surplus: Sequence[str]) -> str:
    """`module.` where the file has exactly the missing names behind one common prefix."""
    if not missing or len(missing) != len(surplus):
        return ""
    first, other = min(missing), min(surplus)
    prefix = other.removesuffix(first)
    return prefix if prefix != other and {prefix + name for name in missing} == set(surplus) else ""
