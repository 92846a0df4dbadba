"""The version, known to every layer."""

__version__ = "0.1.0"
