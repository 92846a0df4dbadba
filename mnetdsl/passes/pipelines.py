"""Lists of passes that belong together."""

from __future__ import annotations

from mnetdsl.ir.clone import clone
from mnetdsl.ir.core import Module
from mnetdsl.ir.verifier import Stage
from mnetdsl.passes.base import Pass
from mnetdsl.passes.canonicalize import Canonicalize
from mnetdsl.passes.common_subexpressions import CommonSubexpressions
from mnetdsl.passes.context import Context
from mnetdsl.passes.dead_code import DeadCode
from mnetdsl.passes.fold_batch_norm import FoldBatchNorm
from mnetdsl.passes.fold_constant_channels import FoldConstantChannels
from mnetdsl.passes.fold_constants import FoldConstants
from mnetdsl.passes.fold_pad import FoldPad
from mnetdsl.passes.fuse_activation import FuseActivation
from mnetdsl.passes.fuse_residual_add import FuseResidualAdd
from mnetdsl.passes.fuse_squeeze_excite import FuseSqueezeExcite
from mnetdsl.passes.lower_batch_norm import LowerBatchNorm
from mnetdsl.passes.lower_unary import LowerUnary
from mnetdsl.passes.pass_manager import AfterPass, run_passes
from mnetdsl.passes.recognize_hard_swish import RecognizeHardSwish

FLOAT: tuple[Pass, ...] = (
    DeadCode(),
    FoldConstants(),
    Canonicalize(),
    CommonSubexpressions(),
    RecognizeHardSwish(),
    FoldBatchNorm(),
    LowerBatchNorm(),
    FuseSqueezeExcite(),
    Canonicalize(),
    FoldPad(),
    FuseActivation(),
    FuseResidualAdd(),
    CommonSubexpressions(),
    DeadCode(),
)
"""What every float backend takes; a second run changes nothing.

What is dead goes first, for a reader that nobody needs would keep a value from being fused. Then constants, since
which operands are constant decides the canonical form. A norm that is gone lets what stood around it meet, and gates
by channel leave reshapes, hence the second `canonicalize`. Activations have their names before they fuse, and fuse
before residuals, since a convolution adds its residual last.
"""

QUANTIZABLE: tuple[Pass, ...] = (
    DeadCode(),
    FoldConstants(),
    Canonicalize(),
    CommonSubexpressions(),
    FoldBatchNorm(),
    LowerBatchNorm(),
    Canonicalize(),
    FoldPad(),
    FuseActivation(clamps_only=True),
    DeadCode(),
)
"""The float graph whose tensors a table of quantization names: each layer's result, clamped, is one tensor."""

INTEGER: tuple[Pass, ...] = (LowerUnary(), DeadCode())
"""Behind `FLOAT` on a quantized module; a float module has nothing for it."""

CHANNELS_AT_A_TIME = 4
"""What kernels for vectors and for DSP instructions take together."""
CONSTANT_CHANNELS: tuple[Pass, ...] = (*FLOAT, *INTEGER, FoldConstantChannels(CHANNELS_AT_A_TIME), DeadCode())
"""Where it is asked for: it needs loaded weights, and layers come to have other shapes than those of the text."""

PIPELINES: dict[str, tuple[Pass, ...]] = {
    "float": FLOAT,
    "quantizable": QUANTIZABLE,
    "integer": (*FLOAT, *INTEGER),
    "constant-channels": CONSTANT_CHANNELS,
    "none": (),
}


def optimize(module: Module, context: Context | None = None, after: AfterPass | None = None) -> Module:
    """`module` through the float pipeline, as a new module at stage `folded`; `module` itself is not changed.

    Works with and without loaded weights; with them, all constants of the result are loaded.
    """
    result = clone(module)
    run_passes(result, (*FLOAT, *INTEGER), context, stage=Stage.FOLDED, after=after)
    return result
