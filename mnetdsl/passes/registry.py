"""The table of all passes."""

from __future__ import annotations

from mnetdsl.passes.base import Pass
from mnetdsl.passes.canonicalize import Canonicalize
from mnetdsl.passes.common_subexpressions import CommonSubexpressions
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
from mnetdsl.passes.recognize_hard_swish import RecognizeHardSwish

PASSES: dict[str, type[Pass]] = {
    kind.name: kind
    for kind in (
        Canonicalize,
        FoldConstants,
        CommonSubexpressions,
        DeadCode,
        FoldBatchNorm,
        LowerBatchNorm,
        FoldPad,
        RecognizeHardSwish,
        FuseSqueezeExcite,
        FuseActivation,
        FuseResidualAdd,
        LowerUnary,
        FoldConstantChannels,
    )
}
