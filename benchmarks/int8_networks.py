"""The int8 networks that are measured on this processor: made anew each time, always the same.

MobileNetV2 is the one that Google quantized; the others have made-up weights, quantized by the ranges of a few
photographs, which is all that their speed depends on.
"""

from __future__ import annotations

import os
from pathlib import Path

import mnetdsl
from mnetdsl.files import write_folder
from mnetdsl.importers.tflite import import_tflite
from mnetdsl.ir.core import Module
from mnetdsl.quantize.pictures import Pictures
from mnetdsl.quantize.quantizer import Settings
from mnetdsl.quantize.tuning import Techniques

DATA = Path(os.environ.get("MNET_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))
FILES = {"mobilenet_v2": "tf2_mobilenet_v2_1.0_224_ptq"}
"""TensorFlow Lite's networks by name."""
PHOTOGRAPHS = DATA / "images" / "imagenet"
FEW = 8
PLAIN = Settings(
    "min-max", equalize=False, techniques=Techniques(mse_scales=False, learned_rounding=False, bias_correction=False)
)


def int8_network(name: str, folder: Path) -> Module | None:
    """The network as it is written, with weights; None where its data is not there. `folder` is room for files."""
    if name in FILES:
        source = DATA / "models" / f"{FILES[name]}.tflite"
        if not source.is_file():
            return None
        files = import_tflite(source).files
        write_folder(folder, files)
        network = next(folder / file for file in files if file.endswith(".mnet"))
        return mnetdsl.load(network).with_weights().module
    if not PHOTOGRAPHS.is_dir():
        return None
    made_up = mnetdsl.load(name).with_weights("random:1")
    return made_up.quantize(Pictures(PHOTOGRAPHS, limit=FEW), settings=PLAIN, name=name).module
