"""Bytes from a linker's map: of linked sections alone, without the objects that surround a model."""

from __future__ import annotations

from mnetdsl.backends.qemu.map_file import Sizes, model_sizes

MAP = """\
Archive member included to satisfy reference by file (symbol)

Discarded input sections

 .text.unused   0x00000000      0x800 net.o

Memory Configuration

Linker script and memory map

LOAD mnet_startup.o

.text           0x00000000     0x2000
 *(.text .text.*)
 .text.mnet_reset
                0x00000040       0x1c mnet_startup.o
                0x00000040                mnet_reset
 .text.net_a    0x0000005c       0x10 net.o
 .text.net_with_a_long_name
                0x0000006c      0x100 net.o
 .text          0x0000016c       0x20 /usr/lib/gcc/libgcc.a(_arm_mulsf3.o)
 *fill*         0x0000018c        0x4

.constants      0x00002000      0x400
 .rodata.net_w  0x00002000      0x400 net_weights.o

.rodata
 .rodata.net_shapes
                0x00002400        0x8 net.o

.data           0x20000000        0x4
 .data._impure  0x20000000        0x4 /usr/lib/libc.a(libc_a-impure.o)

.bss            0x20000004       0x48
 .bss.context   0x20000004       0x40 mnet_runner.o
 .bss.errno     0x20000044        0x8 /usr/lib/libc.a(libc_a-reent.o)
OUTPUT(net.elf elf32-littlearm)
"""


def test_sections_of_the_model_and_its_library_functions_are_summed() -> None:
    sizes = model_sizes(MAP, ("mnet_startup.o", "mnet_runner.o"))
    assert sizes == Sizes(code=0x10 + 0x100 + 0x20, constants=0x400 + 8 + 4, variables=4 + 8)
