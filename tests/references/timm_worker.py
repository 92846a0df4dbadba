"""torchvision and timm in their own environment: build a network, randomize it, save weights and logits.

Request: reference, resolution, arguments, checkpoint, arrays. Answer: parameters, macs; nothing else is done where no
checkpoint is asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import safetensors.torch
import torch
from serving import Answer, Randomizer, images, serve
from torch import nn
from torch.library import Library

# torchvision registers kernels of two operators whose schemas come from its compiled part, which no network needs: they
# must be there before it is imported.
_SCHEMAS = Library("torchvision", "DEF")
for _operator in ("nms", "qnms"):
    _SCHEMAS.define(f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What torchvision's classification transforms normalize by."""


def build(reference: str, arguments: dict[str, Any]) -> tuple[Any, tuple[Any, Any]]:
    """The network without trained weights; mean and deviation of its pixels, 0 to 1."""
    import timm
    import torchvision

    library, _, name = reference.partition(".")
    if library == "torchvision":
        return getattr(torchvision.models, name)(weights=None, **arguments).eval(), IMAGENET
    model = timm.create_model(name, pretrained=False, **arguments).eval()
    return model, (model.pretrained_cfg["mean"], model.pretrained_cfg["std"])


def randomize(model: Any, batch: Any, seed: int) -> None:
    """Every weight anew, batch normalization measured on `batch` and then shaken."""
    randomizer = Randomizer(seed)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    scales = {id(norm.weight) for norm in norms}
    for name, weight in model.named_parameters():
        shape = tuple(weight.shape)
        if id(weight) in scales or name.endswith(".gamma"):
            values = randomizer.scale(shape)
        elif len(shape) == 1:
            values = randomizer.bias(shape)
        else:
            values = randomizer.filter(shape, int(np.prod(shape[1:])))
        weight.copy_(torch.from_numpy(values))
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    model(batch)
    for norm in norms:
        norm.eval()
        mean, variance = norm.running_mean.numpy().copy(), norm.running_var.numpy().copy()
        norm.running_mean.copy_(torch.from_numpy(randomizer.mean(mean, variance)))
        norm.running_var.copy_(torch.from_numpy(randomizer.variance(variance)))


def count_macs(model: Any, batch: Any) -> int:
    """Multiply-accumulates of one image in convolutions and linear layers; attention's two products left out."""
    counted = 0

    def count(module: Any, _: Any, result: Any) -> None:
        nonlocal counted
        weight = module.weight
        positions = result[0].numel() // weight.shape[0]
        counted += weight.numel() * positions

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    model(batch[:1])
    for hook in hooks:
        hook.remove()
    return counted


def answer(request: dict[str, Any]) -> Answer:
    torch.set_num_threads(1)
    model, (mean, std) = build(request["reference"], request["arguments"])
    pixels = images(request["resolution"], request["resolution"])
    batch = (torch.from_numpy(pixels).float() / 255 - torch.tensor(mean)) / torch.tensor(std)
    batch = batch.permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        parameters = sum(weight.numel() for weight in model.parameters())
        counts = {"parameters": parameters, "macs": count_macs(model, batch)}
        if "checkpoint" not in request:
            return counts
        randomize(model, batch, seed=request["resolution"])
        logits = model(batch).numpy()
    if request["checkpoint"].endswith(".safetensors"):
        safetensors.torch.save_file(model.state_dict(), request["checkpoint"])
    else:
        torch.save(model.state_dict(), request["checkpoint"])
    np.savez(request["arrays"], image=pixels, logits=logits)
    return counts


if __name__ == "__main__":
    serve(answer)
