"""Quantizes the digits network to int8 on training images, and counts what it recognizes of the 10,000 test images.

    python examples/digits/quantize.py [--output build/digits_int8] [--images 200]

Calibration sees images of the training set alone. Writes the network into the folder and prints one line a network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mnist
import numpy as np
from numpy.typing import NDArray

import mnetdsl

HERE = Path(__file__).resolve().parent
BATCH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description="int8 for the digits network")
    parser.add_argument("--output", type=Path, default=Path("build/digits_int8"), help="folder of the int8 network")
    parser.add_argument("--images", type=int, default=200, help="how many training images to calibrate on")
    parser.add_argument("--data", type=Path, default=mnist.DEFAULT_FOLDER, help="folder for the downloaded archive")
    arguments = parser.parse_args()
    training, test = mnist.load(arguments.data)
    network = mnetdsl.load(HERE).with_weights()
    network.quantize([training.images[: arguments.images]], arguments.output)
    quantized = mnetdsl.load(arguments.output).with_weights()
    exact, given = classes(network, test.images), classes(quantized, test.images)
    for name, found in (("float", exact), ("int8", given)):
        print(f"{name:>5}: {int((found == test.labels).sum())} of {len(test)} right")
    print(f"the same digit on {int((exact == given).sum())}")


def classes(network: mnetdsl.Network, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The digit that each image is taken for."""
    return np.concatenate(
        [
            network.run({"image": images[start : start + BATCH]})["logits"].argmax(axis=1)
            for start in range(0, len(images), BATCH)
        ]
    )


if __name__ == "__main__":
    main()
