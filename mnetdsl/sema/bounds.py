"""Limits of compile-time evaluation: a file is untrusted and must not exhaust the machine."""

from __future__ import annotations

MAX_STEPS = 1_000_000
"""Statements and expressions evaluated for one model."""
MAX_CALL_DEPTH = 32
"""Blocks expanded inside one another."""
MAX_DEPTH = 150
"""Expressions and statement lists under evaluation at once: what Python's stack holds with room to spare."""
MAX_OPERATIONS = 20_000
"""Operations of one graph."""
MAX_ITERATIONS = 10_000
"""Iterations of one loop, and rows of one table after `repeat`."""
MAX_INTEGER = 2**53
"""Largest magnitude of an int, exactly held by a float too."""
MAX_LIST = 10_000
"""Items of a list."""
MAX_TENSOR_ELEMENTS = 2**31 - 1
"""Elements of one tensor or weight: indices in generated C are 32 bits wide."""
