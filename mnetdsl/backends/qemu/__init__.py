"""Generated C on emulated microcontrollers: a bare-metal image of a model, run in QEMU.

`machines` are the boards, `image` is a model as programs for one of them, `exchange` the files between the host and
such a program. `runner` and `measurement` are what people ask for; `toolchain` calls compiler and emulator.
"""

from __future__ import annotations
