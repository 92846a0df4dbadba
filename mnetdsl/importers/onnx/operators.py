"""The table of ONNX's operators, and what can be done about those that are not imported."""

from __future__ import annotations

from mnetdsl.importers.onnx import maps, moves, rules
from mnetdsl.importers.onnx.context import Rule

RULES: dict[str, Rule] = {
    "Conv": rules.conv,
    "Gemm": rules.gemm,
    "MatMul": rules.matmul,
    "BatchNormalization": rules.batch_norm,
    "Add": rules.elementwise("add"),
    "Sub": rules.elementwise("sub"),
    "Mul": rules.elementwise("mul"),
    "Div": rules.elementwise("div"),
    "Relu": rules.unary("relu"),
    "HardSwish": rules.unary("hard_swish"),
    "HardSigmoid": rules.hard_sigmoid,
    "Sigmoid": rules.unary("sigmoid"),
    "Tanh": rules.unary("tanh"),
    "Gelu": rules.gelu,
    "Swish": rules.swish,
    "Clip": rules.clip,
    "AveragePool": maps.pool("avg_pool"),
    "MaxPool": maps.pool("max_pool"),
    "GlobalAveragePool": maps.global_average,
    "GlobalMaxPool": maps.global_max,
    "ReduceMean": maps.reduce_mean,
    "Softmax": maps.softmax,
    "Pad": maps.pad,
    "Concat": maps.concat,
    "Resize": maps.resize,
    "Upsample": maps.resize,
    "ArgMax": maps.argmax,
    "Slice": maps.slice_,
    "Split": maps.split,
    "Identity": moves.same,
    "Dropout": moves.same,
    "Cast": moves.cast,
    "Transpose": moves.transpose,
    "Reshape": moves.reshape,
    "Flatten": moves.flatten,
    "Squeeze": moves.squeeze,
    "Unsqueeze": moves.unsqueeze,
}

_QDQ = "quantize it in the QDQ form: quantize_static(…, quant_format=QuantFormat.QDQ)"
_ACTIVATION = "train with relu6 or hard_swish"
REMEDIES: dict[str, str] = {
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"), _QDQ),
    **dict.fromkeys(("LeakyRelu", "PRelu", "Elu", "Selu", "Softplus", "Mish"), _ACTIVATION),
    "Erf": "export it with opset_version=20 or later, where gelu is one operator",
    "ConvTranspose": "enlarge the map by Resize and a convolution",
    "NonMaxSuppression": "export the network without it, it belongs behind the network",
    "If": "export one branch as a network of its own",
    "Loop": "export the body of the loop as a network of its own",
    "InstanceNormalization": "train with batch normalization",
    "LayerNormalization": "train with batch normalization",
}
