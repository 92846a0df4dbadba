"""Runs a module on the interpreter and in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mnetdsl import interpreter
from mnetdsl.ir.core import Module
from mnetdsl.training import to_torch

RELATIVE = 1e-5
"""Largest difference, relative to the largest result."""


def run_torch(module: Module, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.float32]]:
    """Outputs by name, in evaluation mode."""
    import torch

    network = to_torch(module).eval()
    with torch.no_grad():
        results = network(*(torch.from_numpy(np.array(inputs[port.name])) for port in module.graph.inputs))
    if not isinstance(results, dict):
        results = {module.graph.outputs[0].name: results}
    return {name: values.numpy() for name, values in results.items()}


def assert_torch_agrees(module: Module, inputs: Mapping[str, NDArray[np.generic]], relative: float = RELATIVE) -> None:
    """Both give every output within `relative` of its largest element."""
    expected = interpreter.run(module, inputs)
    found = run_torch(module, inputs)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].shape == values.shape
        largest = max(float(np.abs(values).max()), 1e-30)
        assert float(np.abs(found[name] - values).max()) <= relative * largest, name
