"""keras.applications in its own environment: builds a network, randomizes it, saves weights and logits.

Request: reference, alpha, resolution, arguments, checkpoint, arrays. Answer: parameters.
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


def answer(request: dict[str, Any]) -> Answer:
    resolution, arguments = request["resolution"], request["arguments"]
    keras.backend.clear_session()
    model = getattr(keras.applications, request["reference"])(
        input_shape=(resolution, resolution, 3),
        alpha=request["alpha"],
        weights=None,
        classifier_activation=None,
        **arguments,
    )
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
    return {"parameters": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)}


if __name__ == "__main__":
    serve(answer)
