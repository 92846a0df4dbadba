"""MLIR's own parser and printer, as they come inside iree-base-compiler."""

from __future__ import annotations

from iree.compiler import ir


def mlir_round_trip(text: str) -> str:
    """`text` read, verified and printed in generic form by MLIR. Fails with its message where it is not accepted."""
    with ir.Context() as context:
        context.allow_unregistered_dialects = True
        module = ir.Module.parse(text)
        assert module.operation.verify()
        printed = module.operation.get_asm(enable_debug_info=True, print_generic_op_form=True)
        assert isinstance(printed, str)
        return printed
