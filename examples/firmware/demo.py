"""Builds the firmware for QEMU's Cortex-M4 board and lets it classify the digits beside the network.

    python examples/firmware/demo.py [--output build/firmware] [--images 20]

Prints the classes, instructions, RAM and flash. Exits with 1 where the firmware recognizes fewer images than the
interpreter.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.backends.qemu.machines import MACHINES
from mnetdsl.diagnostics import MnetError
from mnetdsl.diagnostics.text import render

HERE = Path(__file__).resolve().parent
DIGITS = HERE.parent / "digits"
MACHINE = MACHINES["cortex-m4"]
TOOLS = {
    "cmake": "cmake",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
}
"""What is called, and the Debian packages behind it."""
FLASH = (".text", ".constants", ".rodata", ".ARM.extab", ".ARM.exidx", ".data")
VARIABLES = (".data", ".bss")


@dataclass(frozen=True)
class Answers:
    """classes and ticks: one an image; stack: bytes."""

    classes: list[int]
    ticks: list[int]
    stack: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("build/firmware"), help="folder for what is built")
    parser.add_argument("--images", type=int, default=20, help="how many images the camera delivers")
    arguments = parser.parse_args()
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        print(f"not installed: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    output = arguments.output.resolve()
    try:
        network = mnetdsl.load(DIGITS).with_weights()
        network.compile("cortex-m4", output / "digits", package="cmake", rows=True)
        images, labels = load_images(arguments.images)
        expected = network.run({"image": images})["logits"].argmax(axis=1)
    except MnetError as problem:
        print(render(problem.diagnostics), end="", file=sys.stderr)
        return int(problem.exit_code)
    firmware = build(output)
    answers = run(firmware, images, output)
    return report(answers, labels, expected.tolist(), firmware, network.plan("cortex-m4", rows=True).arena_bytes)


def load_images(count: int) -> tuple[NDArray[np.uint8], list[int]]:
    """images: u8 [N, 28, 28, 1], as a camera of gray pixels sees them; labels: what they show."""
    from PIL import Image

    rows = [line.split(",") for line in (DIGITS / "labels.csv").read_text(encoding="utf-8").splitlines()[1 : count + 1]]
    images = [np.asarray(Image.open(DIGITS / "images" / file).convert("L")) for file, _ in rows]
    return np.stack(images)[..., None], [int(label) for _, label in rows]


def build(output: Path) -> Path:
    """The program; CMake's words are shown where it fails."""
    package, folder = output / "digits", output / "build"
    configure = ["cmake", "-S", str(HERE), "-B", str(folder), f"-DMODEL_PACKAGE={package}"]
    for command in (
        [*configure, f"-DCMAKE_TOOLCHAIN_FILE={package / 'toolchain.cmake'}"],
        ["cmake", "--build", str(folder)],
    ):
        call(command, folder.parent)
    return folder / "firmware.elf"


def run(firmware: Path, images: NDArray[np.uint8], output: Path) -> Answers:
    """Lets the emulated board see the images; a nanosecond of its time passes for each instruction."""
    (output / "camera.bin").write_bytes(images.tobytes())
    board = ["qemu-system-arm", "-M", MACHINE.name, "-display", "none", "-monitor", "none", "-serial", "none"]
    board += ["-chardev", "stdio,id=console", "-semihosting-config", "enable=on,target=native,chardev=console"]
    text = call([*board, "-icount", "shift=0", "-kernel", str(firmware)], output)
    lines = re.findall(r"^class (\d+) ticks (\d+)$", text, re.MULTILINE)
    stack = re.search(r"^stack (\d+)$", text, re.MULTILINE)
    return Answers([int(each) for each, _ in lines], [int(ticks) for _, ticks in lines], int(stack[1]) if stack else 0)


def call(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nfailed: {' '.join(command)}")
    return done.stdout


def sections(firmware: Path) -> dict[str, int]:
    """Bytes by section."""
    lines = call(["arm-none-eabi-size", "-A", str(firmware)], firmware.parent).splitlines()
    return {words[0]: int(words[1]) for words in map(str.split, lines) if len(words) == 3 and words[1].isdecimal()}


def report(answers: Answers, labels: list[int], expected: list[int], firmware: Path, arena: int) -> int:
    right = sum(found == label for found, label in zip(answers.classes, labels, strict=False))
    print(f"{MACHINE.core.name} ({MACHINE.name} in QEMU), {len(labels)} images from the camera, row by row")
    print(f"classes       {' '.join(map(str, answers.classes))}")
    print(f"labels        {' '.join(map(str, labels))}   {right} of {len(labels)} right")
    instructions = [round(ticks * MACHINE.instructions_per_tick) for ticks in answers.ticks]
    if instructions:
        print(f"instructions  {min(instructions):,} to {max(instructions):,} an image")
    sizes = sections(firmware)
    variables = sum(sizes.get(name, 0) for name in VARIABLES)
    flash = sum(sizes.get(name, 0) for name in FLASH)
    print(
        f"RAM           {variables + answers.stack:,} bytes: arena {arena:,}, a row and other variables "
        f"{variables - arena:,}, stack {answers.stack:,}"
    )
    print(
        f"flash         {flash:,} bytes: constants {sizes.get('.constants', 0):,}, code and the rest "
        f"{flash - sizes.get('.constants', 0):,}"
    )
    if answers.classes != expected:
        print("error: the firmware answers differently from the interpreter", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
