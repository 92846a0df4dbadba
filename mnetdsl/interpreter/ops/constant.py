"""A named array of the module."""

from __future__ import annotations

from mnetdsl.diagnostics import MnetError, error
from mnetdsl.interpreter.frame import Array, Frame
from mnetdsl.ir.ops.constant import Constant


def constant(op: Constant, frame: Frame) -> Array:
    """Raises MN0720 where the array is not loaded, MN0721 where its shape or element type differs."""
    array = frame.resources.get(op.resource)
    if array is None:
        raise missing_weights([op])
    element = op.type.element
    if array.shape != op.type.shape or array.dtype != element.dtype:
        raise MnetError(
            error(
                "MN0721",
                f"weight `{op.resource}` is {describe(array)}, the model needs {list(op.type.shape)} {element.dtype}",
                location=str(op.location),
                help=f'put an array of shape {op.type.shape} and dtype {element.dtype} in `resources["{op.resource}"]`',
            )
        )
    return array


def missing_weights(constants: list[Constant]) -> MnetError:
    """One message for all constants (at least one) whose arrays are not loaded."""
    names = list(dict.fromkeys(op.resource for op in constants))
    shown = ", ".join(f"`{name}`" for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return MnetError(
        error(
            "MN0720",
            f"weights are not loaded: {shown}{more}",
            location=str(constants[0].location),
            help="give a weight file with `--weights FILE`, or made-up weights with `--weights random:1`",
        )
    )


def describe(array: Array) -> str:
    """Shape and element type, as in `[1, 96, 96, 3] uint8`."""
    return f"{list(array.shape)} {array.dtype}"
