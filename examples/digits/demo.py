"""Compiles the digits network to C and IREE and classifies the images beside this file on interpreter, C and IREE.

    python examples/digits/demo.py [--output build/demo]

Exits with 1 where the three disagree or recognize fewer images than `training.json` says.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mnetdsl
from mnetdsl.diagnostics import MnetError
from mnetdsl.diagnostics.text import render

HERE = Path(__file__).resolve().parent
BACKENDS = {"numpy": "interpreter", "c": "C", "iree-cpu": "IREE"}
TOLERANCE = 1e-4
"""Largest difference of a logit between two backends, relative to the largest logit."""
SHADES = " ░▒▓█"
ASCII_SHADES = " .:*#"


@dataclass(frozen=True)
class Answers:
    """logits: [N, 10]; seconds: of building and running."""

    logits: NDArray[np.float32]
    seconds: float

    @property
    def classes(self) -> NDArray[np.intp]:
        return self.logits.argmax(axis=1)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Softmax of the answer's logit, [N]."""
        powers = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return powers.max(axis=1) / powers.sum(axis=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("build/demo"), help="folder for what is compiled")
    output = parser.parse_args().output
    try:
        network = mnetdsl.load(HERE).with_weights()
        compile_network(network, output)
        images, labels = load_images()
        answers = {name: classify(network, images, name) for name in BACKENDS}
    except MnetError as problem:
        print(render(problem.diagnostics), end="", file=sys.stderr)
        return int(problem.exit_code)
    show(images, labels, answers["numpy"])
    return report(answers, labels)


def compile_network(network: mnetdsl.Network, output: Path) -> None:
    for target, folder in (("host-c", output / "c"), ("iree-cpu", output / "iree")):
        start = time.perf_counter()
        files = network.compile(target, folder)
        sizes = sum(map(len, files.values()))
        print(f"{target:10} {len(files)} files, {sizes:,} bytes in {folder}  ({time.perf_counter() - start:.1f} s)")


def load_images() -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """images: u8 [N, 28, 28, 1]; labels: [N]; in the order of `labels.csv`."""
    from PIL import Image

    rows = [line.split(",") for line in (HERE / "labels.csv").read_text(encoding="utf-8").splitlines()[1:]]
    images = [np.asarray(Image.open(HERE / "images" / file).convert("L")) for file, _ in rows]
    return np.stack(images)[..., None], np.array([int(label) for _, label in rows])


def classify(network: mnetdsl.Network, images: NDArray[np.uint8], backend: str) -> Answers:
    start = time.perf_counter()
    logits = network.run({"image": images}, on=backend)["logits"].astype(np.float32)
    return Answers(logits, time.perf_counter() - start)


def show(images: NDArray[np.uint8], labels: NDArray[np.intp], answers: Answers) -> None:
    """Prints a few images with their answers: a row of plain ones and a row of those it is least sure of."""
    each = max(1, min(6, (shutil.get_terminal_size().columns + 3) // 27))
    doubtful = np.argsort(answers.confidence, kind="stable")[:each]
    for title, chosen in (("The first images", np.arange(each)), ("The hardest images", doubtful)):
        print(f"\n{title}:")
        print_row([picture(images[index]) for index in chosen])
        captions = [caption(answers, labels, index) for index in chosen]
        print("   ".join(f"{text:24}" for text in captions).rstrip())


def caption(answers: Answers, labels: NDArray[np.intp], index: int) -> str:
    answer, label = answers.classes[index], labels[index]
    verdict = "" if answer == label else f", is a {label}"
    return f"{answer} ({answers.confidence[index]:.1%}{verdict})"


def picture(image: NDArray[np.uint8]) -> list[str]:
    """12 lines of 24 characters: the middle of an image, two pixels above each other a character."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        SHADES.encode(encoding)
        shades = SHADES
    except UnicodeEncodeError:
        shades = ASCII_SHADES
    middle = image[2:26, 2:26, 0].astype(np.float32).reshape(12, 2, 24).mean(axis=1)
    levels = np.rint(middle / 255 * (len(shades) - 1)).astype(int)
    return ["".join(shades[level] for level in row) for row in levels]


def print_row(pictures: list[list[str]]) -> None:
    for lines in zip(*pictures, strict=True):
        print("   ".join(lines).rstrip())


def report(answers: dict[str, Answers], labels: NDArray[np.intp]) -> int:
    """Prints accuracy and agreement; 0 where all is as stated."""
    reference = answers["numpy"]
    stated = json.loads((HERE / "training.json").read_text(encoding="utf-8"))["shipped_images"]["correct"]
    largest = float(np.abs(reference.logits).max())
    problems = []
    print(f"\n{'':12}  correct of {len(labels):3}  accuracy  largest difference of a logit  time")
    for backend, title in BACKENDS.items():
        found = answers[backend]
        correct = int((found.classes == labels).sum())
        difference = float(np.abs(found.logits - reference.logits).max())
        apart = "reference" if found is reference else f"{difference:.1e} (logits up to {largest:.1f})"
        print(f"{title:12}  {correct:14}  {correct / len(labels):8.2%}  {apart:29}  {found.seconds:4.1f} s")
        if correct < stated:
            problems.append(f"{title} recognizes {correct} images, training.json says {stated}")
        if not difference <= TOLERANCE * largest:
            problems.append(f"{title} and the interpreter differ by {difference:.1e} in a logit")
        elif (found.classes != reference.classes).any():
            problems.append(f"{title} and the interpreter answer differently")
    if problems:
        print("\nerror:", *problems, sep="\n  ", file=sys.stderr)
        return 1
    print("\nInterpreter, C and IREE agree: the same answer for every image.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
