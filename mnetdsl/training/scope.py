"""Parameters and statistics as a tree of modules that follows the hierarchical layer names."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scope(nn.Module):
    """What lies below one part of a layer name: `stem` holds `conv`, which holds the parameter `weight`.

    `freeze` keeps a part as it is, also where the network around it is trained.
    Children are entered into the tables of `nn.Module` without its `add_module`, which refuses names that are also
    methods, such as `half` or `type`; a layer may have any name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.frozen = False
        """Stays in evaluation mode, whatever `train()` says: statistics of batch normalization keep still."""
        self._mode = True

    def train(self, mode: bool = True) -> Scope:
        """Sets the mode here and below, except for what is frozen."""
        self._mode = mode
        self.training = mode and not self.frozen
        for scope in self.children():
            scope.train(mode)
        return self

    def freeze(self, frozen: bool = True) -> None:
        """Keeps all parameters and statistics here and below as they are; `False` lets them be trained again."""
        self.requires_grad_(not frozen)
        for scope in self.modules():
            scope.frozen = frozen
            scope.training = scope._mode and not frozen

    def child(self, path: str) -> Scope:
        """The scope at `path` (dotted, empty for this one), made where it is missing."""
        scope = self
        for part in path.split(".") if path else ():
            if part not in scope._modules:
                scope._modules[part] = Scope()
            found = scope._modules[part]
            assert isinstance(found, Scope)
            scope = found
        return scope

    def enter(self, name: str, values: Tensor, trainable: bool) -> None:
        """Holds `values` under the dotted `name`: a parameter where `trainable`, else a buffer."""
        path, _, leaf = name.rpartition(".")
        scope = self.child(path)
        if trainable:
            scope._parameters[leaf] = nn.Parameter(values)
        else:
            scope._buffers[leaf] = values

    def enter_fixed(self, name: str, values: Tensor) -> None:
        """Holds `values` under the dotted `name` as numbers of the text: no weights, and no part of `state_dict`."""
        path, _, leaf = name.rpartition(".")
        scope = self.child(path)
        scope._buffers[leaf] = values
        scope._non_persistent_buffers_set.add(leaf)

    def tensor(self, name: str) -> Tensor:
        """The parameter or buffer under the dotted `name`."""
        path, _, leaf = name.rpartition(".")
        scope = self.child(path)
        for table in (scope._parameters, scope._buffers):
            found = table.get(leaf)
            if isinstance(found, torch.Tensor):
                return found
        return getattr(scope, leaf)

    def extra_repr(self) -> str:
        tensors = {**self._parameters, **self._buffers}
        return ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items() if tensor is not None)
