"""Weights by hierarchical name: read from `.safetensors` and `.npz`, made up from a seed, and written."""

from __future__ import annotations

from mnetdsl.weights.load import load_weights
from mnetdsl.weights.partial import Transfer, load_partial, unknown_layer
from mnetdsl.weights.save import save_weights
from mnetdsl.weights.warning import WeightsWarning

__all__ = ["Transfer", "WeightsWarning", "load_partial", "load_weights", "save_weights", "unknown_layer"]
