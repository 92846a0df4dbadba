"""Quantization: from a float graph and a table of numbers to an integer graph, and how such numbers are found."""
