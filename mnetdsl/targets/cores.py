"""Cortex-M cores."""

from __future__ import annotations

from mnetdsl.targets.core import Core, Fpu, Helium

_SOFT = ("-mthumb", "-mfloat-abi=soft")
_HARD = ("-mthumb", "-mfloat-abi=hard")

OPTIMIZATION = "-O3"
"""Of gcc and clang, for generated C. The float kernels take half the instructions of -O2, for 16 KB more of code."""

CORES: dict[str, Core] = {
    core.name: core
    for core in (
        Core(
            name="cortex-m0plus",
            architecture="Armv6-M",
            dsp=False,
            helium=Helium.NONE,
            fpu=Fpu.NONE,
            flags=("-mcpu=cortex-m0plus", *_SOFT),
            systick=False,  # an option of the core; every part in `boards.py` has it
            cycle_counter=False,
            reference="DDI 0484C",
        ),
        Core(
            name="cortex-m3",
            architecture="Armv7-M",
            dsp=False,
            helium=Helium.NONE,
            fpu=Fpu.NONE,
            flags=("-mcpu=cortex-m3", *_SOFT),
            systick=True,
            cycle_counter=True,
            reference="DDI 0337I",
        ),
        Core(
            name="cortex-m4",
            architecture="Armv7E-M",
            dsp=True,
            helium=Helium.NONE,
            fpu=Fpu.SINGLE,
            flags=("-mcpu=cortex-m4", *_HARD, "-mfpu=fpv4-sp-d16"),
            systick=True,
            cycle_counter=True,
            reference="DDI 0439D",
        ),
        Core(
            name="cortex-m7",
            architecture="Armv7E-M",
            dsp=True,
            helium=Helium.NONE,
            fpu=Fpu.SINGLE,
            # Double precision is an option that some parts (STM32F746) lack, and generated code computes in single.
            flags=("-mcpu=cortex-m7", *_HARD, "-mfpu=fpv5-sp-d16"),
            systick=True,
            cycle_counter=True,
            reference="DDI 0489F",
        ),
        Core(
            name="cortex-m33",
            architecture="Armv8-M Mainline",
            dsp=True,
            helium=Helium.NONE,
            fpu=Fpu.SINGLE,
            flags=("-mcpu=cortex-m33", *_HARD, "-mfpu=fpv5-sp-d16"),
            systick=True,
            cycle_counter=True,
            reference="100230",
        ),
        Core(
            name="cortex-m55",
            architecture="Armv8.1-M Mainline",
            dsp=True,
            helium=Helium.FLOAT,
            fpu=Fpu.DOUBLE,
            flags=("-mcpu=cortex-m55", *_HARD),
            systick=True,
            cycle_counter=True,
            reference="101051",
        ),
        Core(
            name="cortex-m85",
            architecture="Armv8.1-M Mainline",
            dsp=True,
            helium=Helium.FLOAT,
            fpu=Fpu.DOUBLE,
            # By its architecture: gcc 12 and clang 14 do not know the core by name yet.
            flags=("-march=armv8.1-m.main+dsp+mve.fp+fp.dp", *_HARD),
            systick=True,
            cycle_counter=True,
            reference="101924",
        ),
    )
}
"""By name. References are Arm's technical reference manuals."""
