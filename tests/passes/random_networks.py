"""Random networks with weights: chains and branches of layers, norms, pads, pools, activations and residuals."""

from __future__ import annotations

from hypothesis import strategies as st

from mnetdsl.ir.core import Module, ShapeError, Value
from mnetdsl.ir.ops.activation import UNARY_FUNCTIONS
from tests.passes.helpers import LayerMaker

STEPS = ["conv", "depthwise", "norm", "norm", "unary", "unary", "pad", "add", "mul", "gate"]
STEPS += ["clamp", "pool", "concat", "constant"]


@st.composite
def networks(draw: st.DrawFn) -> Module:
    """Maps first, then perhaps a dense head; some intermediate values are outputs as well."""
    maker = LayerMaker(seed=draw(st.integers(0, 999)))
    values = [maker.input(draw(st.integers(3, 6)), draw(st.integers(3, 6)), draw(st.integers(1, 4)))]
    for number, kind in enumerate(draw(st.lists(st.sampled_from(STEPS), min_size=2, max_size=14))):
        # Mostly the latest value, so that patterns of several operations form.
        x = draw(st.sampled_from([values[-1]] * 3 + values))
        try:
            values.append(_step(draw, maker, kind, f"layer{number}", x, values))
        except ShapeError:
            continue
        if draw(st.integers(0, 9)) == 0:
            maker.output(values[-1], f"tap{number}")
    last = values[-1]
    if draw(st.booleans()):
        features = maker.op("global_avg_pool", last)
        last = maker.norm("head.norm", maker.dense("head", features, 3, bias=draw(st.booleans())))
    return maker.output(last)


def _step(draw: st.DrawFn, maker: LayerMaker, kind: str, name: str, x: Value, values: list[Value]) -> Value:
    border = st.tuples(*[st.integers(0, 1)] * 4)
    strides = st.sampled_from([(1, 1), (1, 1), (2, 1)])
    if kind == "conv":
        kernel = draw(st.sampled_from([1, 1, 3]))
        padding = draw(st.sampled_from([(0, 0, 0, 0), (kernel // 2,) * 4]))
        outputs = draw(st.sampled_from([x.type.shape[3], 2, 3]))
        return maker.conv(
            name, x, outputs, kernel=kernel, bias=draw(st.booleans()), padding=padding, strides=draw(strides)
        )
    if kind == "depthwise":
        padding = draw(st.sampled_from([(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1)]))
        multiplier = draw(st.sampled_from([1, 1, 2]))
        return maker.depthwise(name, x, multiplier, padding=padding, strides=draw(strides))
    if kind == "norm":
        return maker.norm(name, x)
    if kind == "unary":
        return maker.op(draw(st.sampled_from(UNARY_FUNCTIONS)), x)
    if kind == "pad":
        return maker.op("pad", x, padding=draw(border), value=draw(st.sampled_from([0.0, 0.0, 0.0, 1.0])))
    if kind in ("add", "mul"):
        other = draw(st.sampled_from([value for value in values if value.type == x.type]))
        return maker.op(kind, *draw(st.permutations([x, other])))
    if kind == "gate":
        pooled = maker.op("avg_pool", x, kernel=x.type.shape[1:3])
        return maker.op("mul", x, maker.op("hard_sigmoid", pooled))
    if kind == "clamp":
        low, high = sorted(draw(st.tuples(*[st.sampled_from([-1.0, 0.0, 3.0, 6.0])] * 2)))
        return maker.op("clamp", x, low=low, high=high)
    if kind == "pool":
        window = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        return maker.op(draw(st.sampled_from(["max_pool", "avg_pool"])), x, kernel=window)
    if kind == "concat":
        return maker.op("concat", group=draw(st.sampled_from([[x], [x, x]])), axis=3)
    constant = maker.random_constant(name, 1, 1, 1, x.type.shape[3])
    return maker.op(draw(st.sampled_from(["add", "mul"])), maker.op("tanh", constant), x)
