"""keras.applications in its own environment: builds a network, randomizes it, saves weights and logits.

Request: reference, alpha, resolution, arguments, checkpoint, arrays. Answer: parameters, macs; nothing else is done
where no checkpoint is asked for. Request: file, a TensorFlow Lite model. Answer: the same of it.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0"})

import keras
import numpy as np
from serving import Answer, Randomizer, images, serve

PREPROCESSING = {
    "MobileNet": keras.applications.mobilenet.preprocess_input,
    "MobileNetV2": keras.applications.mobilenet_v2.preprocess_input,
}


def randomize(model: Any, batch: Any, seed: int) -> None:
    """Every weight anew, batch normalization measured on `batch` and then shaken."""
    randomizer = Randomizer(seed)
    norms = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            norms.append(layer)
            layer.gamma.assign(randomizer.scale(layer.gamma.shape))
            layer.beta.assign(randomizer.bias(layer.beta.shape))
            layer.momentum = 0.0
            continue
        for weight in layer.weights:
            shape = tuple(weight.shape)
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            if len(shape) == 1:
                weight.assign(randomizer.bias(shape))
            else:
                weight.assign(randomizer.filter(shape, int(np.prod(shape[:2] if depthwise else shape[:-1]))))
    model(batch, training=True)
    for layer in norms:
        mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
        layer.moving_mean.assign(randomizer.mean(mean, variance))
        layer.moving_variance.assign(randomizer.variance(variance))
        layer.momentum = 0.99


def count_macs(model: Any) -> int:
    """Multiply-accumulates of one image in convolutions and dense layers."""
    counted = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D | keras.layers.Dense):
            shape, results = layer.kernel.shape, int(np.prod(layer.output.shape[1:]))
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            counted += results * int(np.prod(shape[:2] if depthwise else shape[:-1]))
    return counted


def count_file(file: str) -> Answer:
    """Parameters and multiply-accumulates of one image in convolutions and dense layers of a TensorFlow Lite model."""
    import tensorflow

    model = tensorflow.lite.Interpreter(file)
    shapes = {tensor["index"]: tensor["shape"] for tensor in model.get_tensor_details()}
    parameters = macs = 0
    for op in model._get_ops_details():
        if op["op_name"] not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        filter_shape = shapes[op["inputs"][1]]  # depthwise [1, KH, KW, C], else [O, KH, KW, I] or [O, I]
        depthwise = op["op_name"] == "DEPTHWISE_CONV_2D"
        taps = filter_shape[1:3] if depthwise else filter_shape[1:]
        macs += int(np.prod(shapes[op["outputs"][0]])) * int(np.prod(taps))
        parameters += sum(int(np.prod(shapes[index])) for index in op["inputs"][1:])
    return {"parameters": parameters, "macs": macs}


def answer(request: dict[str, Any]) -> Answer:
    if "file" in request:
        return count_file(request["file"])
    resolution, arguments = request["resolution"], request["arguments"]
    keras.backend.clear_session()
    model = getattr(keras.applications, request["reference"])(
        input_shape=(resolution, resolution, 3),
        alpha=request["alpha"],
        weights=None,
        classifier_activation=None,
        **arguments,
    )
    counts = {
        "parameters": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        "macs": count_macs(model),
    }
    if "checkpoint" not in request:
        return counts
    pixels = images(resolution, resolution)
    batch = pixels.astype(np.float32)
    if request["reference"] in PREPROCESSING:
        batch = PREPROCESSING[request["reference"]](batch)
    elif not arguments.get("include_preprocessing", True):
        batch = batch / 127.5 - 1
    randomize(model, batch, seed=resolution)
    checkpoint = request["checkpoint"]
    if checkpoint.endswith(".weights.h5"):
        model.save_weights(checkpoint)
    else:
        model.save(checkpoint)
    np.savez(request["arrays"], image=pixels, logits=model(batch, training=False).numpy())
    return counts


if __name__ == "__main__":
    serve(answer)
