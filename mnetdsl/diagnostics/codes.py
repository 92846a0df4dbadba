"""Every diagnostic code, once. The page behind `mnet explain CODE` is `pages/CODE.md`."""

from __future__ import annotations

CODES: dict[str, str] = {
    # MN01xx: lexing and parsing
    # MN02xx: names
    # MN03xx: types, calls and parameters
    # MN04xx: shapes
    # MN05xx: compile-time evaluation and its bounds
    # MN06xx: inputs, outputs and deploy sections
    # MN07xx: weights
    # MN08xx: images and data
    # MN09xx: files and outputs
    # MN10xx: IR text, verifier and passes
    # MN11xx: targets, budgets and backends
    # MN12xx: toolchains
    # MN13xx: validation
    # MN14xx: command line
}
