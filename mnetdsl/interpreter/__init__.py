"""NumPy meaning of the IR: the reference that every backend is validated against."""

from mnetdsl.interpreter.run import Observer, check_inputs, evaluate_op, run

__all__ = ["Observer", "check_inputs", "evaluate_op", "run"]
