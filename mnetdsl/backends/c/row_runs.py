"""Layers behind the front that can run by rows: from maps that are whole to one that becomes whole.

Squeeze and excite needs all of a map, and so does what goes around it. Between two such maps nothing has to be whole: a
wide expansion, say, is never more than the rows that the depthwise layer behind it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mnetdsl.backends.c.row_axes import row_axes
from mnetdsl.ir.core import Graph, Op, Value
from mnetdsl.plan.sweep import Axis


def runs(graph: Graph, behind: Sequence[Op]) -> Iterator[list[tuple[Op, dict[str, Axis]]]]:
    """Of the layers behind the front each run of several that ends at one of them, the longest there is.

    All results but that of the last layer are read inside alone.
    """
    axes = {op: found for op in behind if (found := row_axes(op))}
    outputs = {port.value for port in graph.outputs}
    for last in axes:
        inside, waiting = {last}, [last]
        while waiting:
            for value in _maps(waiting.pop(), axes):
                producer = value.producer
                alone = value not in outputs and all(user in inside for user in value.users)
                if alone and producer is not None and producer in axes and producer not in inside:
                    inside.add(producer)
                    waiting.append(producer)
        if len(inside) > 1:
            yield [(op, axes[op]) for op in behind if op in inside]


def _maps(op: Op, axes: Mapping[Op, Mapping[str, Axis]]) -> list[Value]:
    """Operands that are read row by row."""
    found = axes[op]
    return [value for operand in op.operand_defs if operand.name in found for value in op.operand_group(operand.name)]
