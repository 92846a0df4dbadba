"""Fully connected layer."""

from __future__ import annotations

from mnetdsl.ir.core import Op, ShapeError
from mnetdsl.ir.declare import Operand, OptionalOperand
from mnetdsl.ir.ops.activation import activation_attribute
from mnetdsl.ir.ops.weights import check_weights
from mnetdsl.ir.types import TensorType


class Dense(Op):
    """Multiplies each row with a matrix.

    input [N, I], filter [I, O], bias [O]  ->  [N, O]; result = activation(input @ filter + bias)
    """

    opcode = "dense"
    input = Operand(rank=2)
    filter = Operand(rank=2)
    bias = OptionalOperand(rank=1)
    filter_scale = OptionalOperand(rank=1)
    filter_zero_point = OptionalOperand(rank=1)
    activation = activation_attribute()

    def infer(self) -> TensorType:
        batch, features = self.input.type.shape
        filter_features, outputs = self.filter.type.shape
        if features != filter_features:
            raise ShapeError(f"`dense` has a filter for {filter_features} features, the input has {features}", "filter")
        check_weights(self, outputs)
        return self.input.type.with_shape((batch, outputs))
