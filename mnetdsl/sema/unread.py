"""Layers whose results nobody reads: computed for nothing, and most often a slip of the pen."""

from __future__ import annotations

from dataclasses import replace

from mnetdsl.diagnostics import Diagnostic, Severity, error
from mnetdsl.ir.ops.constant import Constant
from mnetdsl.sema.layers import Layers


def unread_layers(layers: Layers) -> list[Diagnostic]:
    """A warning for each layer at the end of a chain that leads to no output, in order.

    What a block gives back beside other values is left alone: callers take what they need of it.
    """
    graph = layers.builder.graph
    read = {port.value for port in graph.outputs}
    unread = [
        op
        for op in graph.operations
        if not op.result.users and op.result not in read and op not in layers.offered and not isinstance(op, Constant)
    ]
    return [
        replace(
            error(
                "MN0210",
                f"nobody reads the result of `{op.name}`",
                at=layers.spans[op],
                label="computed for nothing",
                help="read it, or leave the layer out: the weights of a layer are asked for as long as it stands there",
            ),
            severity=Severity.WARNING,
        )
        for op in unread
        if op in layers.spans
    ]
