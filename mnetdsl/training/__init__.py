"""Networks as PyTorch modules: train and fine-tune the very `.mnet` file that is compiled (extra `[torch]`).

    network = mnetdsl.load("examples/digits")
    net = to_torch(network.module)              # a torch.nn.Module, images [N, H, W, C] in, logits [N, K] out
    ...                                         # train it as any other
    save_weights(net, "digits.safetensors")     # network.with_weights("digits.safetensors") reads it

Importing this package does not import torch; calling its functions does.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mnetdsl import weights
from mnetdsl.diagnostics import MnetError, error
from mnetdsl.diagnostics.extras import install
from mnetdsl.ir.core import Module

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mnetdsl.training.network import TorchNetwork
    from mnetdsl.weights import Transfer

__all__ = ["freeze", "load_partial", "load_weights", "save_weights", "to_torch", "unfreeze", "weights_of"]


def to_torch(module: Module, seed: int = 0) -> TorchNetwork:
    """`module` as a `torch.nn.Module` in training mode.

    Arrays that `module.resources` holds are copied in; the others start at random, drawn from `seed` alone (He et
    al. 2015). Batch normalization keeps its own statistics. Raises `MnetError` where torch is not installed, and
    `ValueError` where an array has another shape than its constant.
    """
    _require_torch()
    from mnetdsl.training.network import TorchNetwork

    return TorchNetwork(module, seed)


def weights_of(network: TorchNetwork) -> dict[str, NDArray[np.generic]]:
    """Copies of all parameters and statistics by name, as `Module.resources` holds them."""
    return {name: tensor.detach().cpu().contiguous().numpy().copy() for name, tensor in network.state_dict().items()}


def save_weights(network: TorchNetwork, path: str | Path) -> None:
    """Writes all parameters and statistics to a `.safetensors` or `.npz` file, whole or not at all; `mnet` reads it.

    The same weights give the same bytes. `safetensors.torch.save_file(network.state_dict(), path)` writes the same
    tensors. Raises `MnetError` for another suffix or where the file cannot be written.
    """
    weights.save_weights(path, weights_of(network))


def load_weights(network: TorchNetwork, path: str | Path) -> None:
    """Reads weights from a `.safetensors` or `.npz` file, or `random:SEED`, into `network`.

    Raises `MnetError` listing missing, surplus and misshapen tensors.
    """
    network.set_weights(weights.load_weights(network.program.module, path))


def load_partial(
    network: TorchNetwork,
    path: str | Path,
    *,
    new: Iterable[str] = (),
    drop: Iterable[str] = (),
    rename: Mapping[str, str] | None = None,
) -> Transfer:
    """Reads the weights of a backbone into `network`; its layers `new` keep the values that they have.

    `drop` and `rename` say what becomes of the file's layers, as in `mnetdsl.weights.load_partial`, which also says
    what is raised. The result lists what was taken and what was not; print it.
    """
    transfer = weights.load_partial(network.program.module, path, new=new, drop=drop, rename=rename)
    network.set_weights(transfer.arrays, partial=True)
    return transfer


def freeze(network: TorchNetwork, *layers: str) -> None:
    """Keeps `layers` and all below them as they are, parameters and statistics of batch normalization alike.

    They stay in evaluation mode after `network.train()`. A layer is named as in `mnet summary`; `""` is the network.
    Raises `MnetError` MN0714 for a layer that the network does not have.
    """
    _set_frozen(network, layers, True)


def unfreeze(network: TorchNetwork, *layers: str) -> None:
    """Lets `layers`, which may lie below frozen ones, be trained again; raises as `freeze` does."""
    _set_frozen(network, layers, False)


def _set_frozen(network: TorchNetwork, layers: tuple[str, ...], frozen: bool) -> None:
    names = list(network.state_dict())
    scopes = dict(network.named_modules())
    unknown = [layer for layer in layers if layer not in scopes]
    if unknown:
        raise MnetError(*(weights.unknown_layer(layer, names, "the network") for layer in unknown))
    for layer in layers:
        scopes[layer].freeze(frozen)


def _require_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise MnetError(
            error(
                "MN1210",
                "PyTorch is not installed",
                help=install("torch"),
                notes="training needs it; checking, compiling and running networks do not",
            )
        )
