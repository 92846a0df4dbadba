"""Float networks out of int8 files, where no float file is at hand: integers times their scales.

Their weights lie on the int8 grid, so they test how activations are quantized, and that weights are not made worse.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.api import Network
from mnetdsl.files import write_folder
from mnetdsl.ir.core import Op
from mnetdsl.quantize.text import deployment_text
from mnetdsl.syntax.reader import read_source
from mnetdsl.weights import safetensors

Array = NDArray[np.generic]


def dequantized(imported: Path, folder: Path, name: str) -> Network:
    """The float network behind the int8 one in the folder `imported`, written into `folder`."""
    network = mnetdsl.load(imported).with_weights()
    arrays = network.module.resources
    found: dict[str, Array] = {}
    for key, array in arrays.items():
        owner, _, kind = key.rpartition(".")
        if kind not in ("weight", "bias"):
            continue
        scale = arrays[f"{owner}.weight_scale"].astype(np.float64)
        if kind == "bias":
            scale = scale * _input_scale(network, owner)
        outputs = array.reshape(*array.shape[:-2], -1) if _depthwise(network, owner, kind) else array
        found[key] = (outputs * scale).astype(np.float32).reshape(array.shape)
    source = read_source(network.path)
    files = {path.name: path.read_bytes() for path in imported.iterdir() if path.suffix == ".txt"}
    text = deployment_text(source, network.instance, name, ["In float, out of the int8 file."], ())
    write_folder(folder, {**files, f"{name}.mnet": text.encode(), f"{name}.safetensors": safetensors.to_bytes(found)})
    return mnetdsl.load(folder).with_weights()


def _layer(network: Network, name: str) -> Op:
    return next(op for op in network.module.graph.operations if op.name == name)


def _depthwise(network: Network, name: str, kind: str) -> bool:
    return kind == "weight" and _layer(network, name).opcode == "depthwise_conv2d"


def _input_scale(network: Network, name: str) -> float:
    quantization = _layer(network, name).operand_group("input")[0].type.quantization
    assert quantization is not None
    return quantization.scale[0]
