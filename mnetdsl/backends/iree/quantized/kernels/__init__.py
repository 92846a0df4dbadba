"""Own kernels for layers of stored bytes, beside `backends.iree.kernels`: four depths at a time by what the row
of `BYTE_ISAS` multiplies bytes with.

Maps are flat, as in `layout`, and unsigned: an i8 number plus 128, as VNNI's unsigned operand takes it.
"""
