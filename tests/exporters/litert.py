"""LiteRT's reference kernels on written files, every tensor kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnetdsl.exporters.tflite import Written

Array = NDArray[Any]


def run_reference(written: Written, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Results of all layers and outputs by name, for inputs [N, …] of the file."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=written.data,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    wanted = {**written.layers, **written.outputs}
    found: dict[str, list[Array]] = {name: [] for name in wanted}
    for index in range(len(next(iter(inputs.values())))):
        for name, array in inputs.items():
            interpreter.set_tensor(written.numbers[name], array[index : index + 1])
        interpreter.invoke()
        for name, number in wanted.items():
            found[name].append(interpreter.get_tensor(number))
    return {name: np.concatenate(arrays) for name, arrays in found.items()}
