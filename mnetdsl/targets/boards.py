"""Parts that one can buy, with their memories as their data sheets state them.

`speed` ranks memories for data: tightly coupled memory first, then what the core reaches through one bus, then memory
of other domains, then flash and what stands outside the part. `ram` leaves out instruction memories and backup domains.
"""

from __future__ import annotations

from mnetdsl.targets.core import Board, Region
from mnetdsl.targets.cores import CORES

_K = 1024
_M = 1024 * 1024

BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board(
            name="stm32f407",
            part="STM32F407xG",
            core=CORES["cortex-m4"],
            ram=(Region("CCM", 0x1000_0000, 64 * _K, 1), Region("SRAM1 and 2", 0x2000_0000, 128 * _K, 2)),
            flash=(Region("flash", 0x0800_0000, 1 * _M, 3),),
            source="ST DS8626 (data sheet), RM0090",
        ),
        Board(
            name="stm32f746",
            part="STM32F746xG",
            core=CORES["cortex-m7"],
            ram=(
                Region("DTCM", 0x2000_0000, 64 * _K, 1),
                Region("SRAM1", 0x2001_0000, 240 * _K, 2),
                Region("SRAM2", 0x2004_C000, 16 * _K, 2),
            ),
            flash=(Region("flash", 0x0800_0000, 1 * _M, 3),),
            source="ST DS10916 (data sheet), RM0385",
        ),
        Board(
            name="stm32h743",
            part="STM32H743xI",
            core=CORES["cortex-m7"],
            ram=(
                Region("DTCM", 0x2000_0000, 128 * _K, 1),
                Region("AXI SRAM", 0x2400_0000, 512 * _K, 2),
                Region("SRAM1", 0x3000_0000, 128 * _K, 3),
                Region("SRAM2", 0x3002_0000, 128 * _K, 3),
                Region("SRAM3", 0x3004_0000, 32 * _K, 3),
                Region("SRAM4", 0x3800_0000, 64 * _K, 4),
            ),
            flash=(Region("flash", 0x0800_0000, 2 * _M, 5),),
            source="ST DS12110 (data sheet), RM0433",
        ),
        Board(
            name="stm32l476",
            part="STM32L476xG",
            core=CORES["cortex-m4"],
            ram=(Region("SRAM2", 0x1000_0000, 32 * _K, 1), Region("SRAM1", 0x2000_0000, 96 * _K, 1)),
            flash=(Region("flash", 0x0800_0000, 1 * _M, 2),),
            source="ST DS10198 (data sheet), RM0351",
        ),
        Board(
            name="stm32n657",
            part="STM32N657x0",
            core=CORES["cortex-m55"],
            ram=(
                Region("DTCM", 0x3000_0000, 128 * _K, 1),
                Region("FLEXRAM and AXISRAM1", 0x3400_0000, 1 * _M, 2),
                Region("AXISRAM2", 0x3410_0000, 1 * _M, 2),
                Region("AXISRAM3 to 6", 0x3420_0000, 1792 * _K, 3),
            ),
            flash=(),
            source="ST DS14791 (data sheet), RM0486",
            note="secure addresses; has no flash inside, AXISRAM3 to 6 are the neural accelerator's and need its clock",
        ),
        Board(
            name="rp2040",
            part="RP2040 on Raspberry Pi Pico",
            core=CORES["cortex-m0plus"],
            ram=(Region("SRAM0 to 3", 0x2000_0000, 256 * _K, 1), Region("SRAM4 and 5", 0x2004_0000, 8 * _K, 1)),
            flash=(Region("QSPI flash", 0x1000_0000, 2 * _M, 2),),
            source="Raspberry Pi RP-008371-DS (data sheet), RP-008307-DS (Pico)",
            note="flash is outside the part: 2M on this board, 16M at most",
        ),
        Board(
            name="rp2350",
            part="RP2350 on Raspberry Pi Pico 2",
            core=CORES["cortex-m33"],
            ram=(Region("SRAM0 to 7", 0x2000_0000, 512 * _K, 1), Region("SRAM8 and 9", 0x2008_0000, 8 * _K, 1)),
            flash=(Region("QSPI flash", 0x1000_0000, 4 * _M, 2),),
            source="Raspberry Pi RP-008373-DS (data sheet), RP-008299-DS (Pico 2)",
            note="flash is outside the part: 4M on this board, 16M at most",
        ),
        Board(
            name="nrf52840",
            part="nRF52840",
            core=CORES["cortex-m4"],
            ram=(Region("RAM", 0x2000_0000, 256 * _K, 1),),
            flash=(Region("flash", 0x0000_0000, 1 * _M, 2),),
            source="Nordic 4413_417 (product specification)",
        ),
        Board(
            name="imxrt1062",
            part="i.MX RT1062 on MIMXRT1060-EVK",
            core=CORES["cortex-m7"],
            ram=(
                Region("DTCM", 0x2000_0000, 128 * _K, 1),
                Region("OCRAM2", 0x2020_0000, 512 * _K, 2),
                Region("OCRAM", 0x2028_0000, 256 * _K, 2),
            ),
            flash=(Region("QSPI flash", 0x6000_0000, 8 * _M, 3),),
            source="NXP IMXRT1060CEC (data sheet), IMXRT1060RM",
            note="FlexRAM as its fuses come: 128K ITCM, 128K DTCM, 256K OCRAM; flash is outside the part",
        ),
        Board(
            name="alif-e3",
            part="Alif Ensemble E3, high-performance core",
            core=CORES["cortex-m55"],
            ram=(
                Region("DTCM (SRAM3)", 0x2000_0000, 1 * _M, 1),
                Region("SRAM0", 0x0200_0000, 4 * _M, 2),
                Region("SRAM1", 0x0800_0000, 2560 * _K, 2),
            ),
            flash=(Region("MRAM", 0x8000_0000, 5632 * _K, 3),),
            source="Alif AWPR0003 (RAM regions and linker files), Ensemble E3 data sheet",
            note="the largest of the family; smaller part numbers have less SRAM and MRAM",
        ),
    )
}
"""By the name that `--target` takes."""
