"""A copy of a module whose graph may be rewritten while the original stays."""

from __future__ import annotations

from mnetdsl.ir.core import Graph, Module, Op, OperandArgument, Port, Value


def clone(module: Module) -> Module:
    """A module with operations, values and ports of its own. Arrays are shared: nobody writes into them."""
    values: dict[Value, Value] = {}
    graph = Graph()
    for port in module.graph.inputs:
        values[port.value] = Value(port.value.type)
        graph.inputs.append(Port(port.name, values[port.value], dict(port.attributes), port.location))
    for op in module.graph.operations:
        copy = clone_op(op, values)
        values[op.result] = copy.result
        graph.operations.append(copy)
    for port in module.graph.outputs:
        graph.outputs.append(Port(port.name, values[port.value], dict(port.attributes), port.location))
    return Module(module.name, graph, dict(module.resources), dict(module.derived))


def clone_op(op: Op, values: dict[Value, Value]) -> Op:
    """`op` again, reading `values[v]` in place of each value `v`."""
    operands: dict[str, OperandArgument] = {
        definition.name: [values[value] for value in op.operand_group(definition.name)]
        for definition in op.operand_defs
    }
    return type(op)(operands, op.attributes, op.location, op.storage)
