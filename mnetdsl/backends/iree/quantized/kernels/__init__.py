"""Own kernels for layers of stored bytes, beside `backends.iree.kernels`: products of four bytes at a time (VNNI).

Maps are flat, as in `layout`, and unsigned: an i8 number plus 128, so that the instruction's unsigned operand takes it.
"""
