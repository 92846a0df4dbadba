"""NumPy meaning of the IR: the reference that every backend is validated against."""

from mnetdsl.interpreter.run import Observer, evaluate_op, run

__all__ = ["Observer", "evaluate_op", "run"]
