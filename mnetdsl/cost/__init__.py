"""What a network costs: multiply-accumulates, parameters, bytes. Attached to the operations from outside."""

from __future__ import annotations

from mnetdsl.cost.macs import multiply_accumulates
from mnetdsl.cost.summary import LayerCost, Summary, summarize

__all__ = ["LayerCost", "Summary", "multiply_accumulates", "summarize"]
