"""What is compared: networks of the reference libraries, each with the width and resolution it is built at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """`reference` is their constructor, `arguments` what it is given, `network` ours.

    `suffix` is the file format that the weights travel in; all that `mnet import` reads occur. `pixels` are mean and
    deviation where this one network is trained on others than its siblings, which a checkpoint does not tell.
    """

    reference: str
    network: str
    alpha: float = 1.0
    resolution: int = 224
    arguments: dict[str, object] = field(default_factory=dict)
    suffix: str = ""
    pixels: tuple[float, float] | None = None

    @property
    def label(self) -> str:
        extra = "".join(f"-{name}={value}" for name, value in self.arguments.items())
        return f"{self.reference}-{self.alpha}-{self.resolution}{extra}{self.suffix}"


_MINIMAL: dict[str, object] = {"minimalistic": True}
_PIXELS: dict[str, object] = {"include_preprocessing": True}
_PLAIN: dict[str, object] = {"include_preprocessing": False}

KERAS = (
    Case("MobileNet", "mobilenet_v1", 1.0, 224, suffix=".h5"),
    Case("MobileNet", "mobilenet_v1", 0.25, 128, suffix=".keras"),
    Case("MobileNet", "mobilenet_v1", 0.75, 160, suffix=".weights.h5"),
    Case("MobileNetV2", "mobilenet_v2", 1.0, 224, suffix=".keras"),
    Case("MobileNetV2", "mobilenet_v2", 0.35, 96, suffix=".h5"),
    Case("MobileNetV2", "mobilenet_v2", 1.4, 161, suffix=".weights.h5"),
    Case("MobileNetV2", "mobilenet_v2", 0.5, 160, {"classes": 7}, suffix=".keras"),
    Case("MobileNetV3Large", "mobilenet_v3_large", 1.0, 224, _PIXELS, suffix=".keras"),
    Case("MobileNetV3Large", "mobilenet_v3_large", 0.75, 192, _PLAIN, suffix=".h5"),
    Case("MobileNetV3Large", "mobilenet_v3_large", 1.25, 129, _PIXELS, suffix=".h5"),
    Case("MobileNetV3Small", "mobilenet_v3_small", 1.0, 224, _PLAIN, suffix=".keras"),
    Case("MobileNetV3Small", "mobilenet_v3_small", 0.5, 97, _PIXELS, suffix=".h5"),
    Case("MobileNetV3Small", "mobilenet_v3_small", 1.25, 160, _PIXELS, suffix=".weights.h5"),
    Case("MobileNetV3Large", "mobilenet_v3_large_minimalistic", 1.0, 224, _MINIMAL, suffix=".keras"),
    Case("MobileNetV3Large", "mobilenet_v3_large_minimalistic", 0.75, 128, _MINIMAL, suffix=".h5"),
    Case("MobileNetV3Small", "mobilenet_v3_small_minimalistic", 1.0, 224, _MINIMAL, suffix=".h5"),
    Case("MobileNetV3Small", "mobilenet_v3_small_minimalistic", 0.75, 145, _MINIMAL, suffix=".keras"),
)
"""keras.applications, TensorFlow's padding."""

TORCH = (
    Case("torchvision.mobilenet_v2", "mobilenet_v2", 1.0, 224, suffix=".pth"),
    Case("torchvision.mobilenet_v2", "mobilenet_v2", 0.5, 161, {"width_mult": 0.5}, suffix=".safetensors"),
    Case("torchvision.mobilenet_v3_large", "mobilenet_v3_large", 1.0, 224, suffix=".safetensors"),
    Case("torchvision.mobilenet_v3_small", "mobilenet_v3_small", 1.0, 224, suffix=".pth"),
    Case("torchvision.mobilenet_v3_small", "mobilenet_v3_small", 1.0, 127, suffix=".pth"),
    Case("timm.mobilenetv1_100", "mobilenet_v1", 1.0, 224, suffix=".safetensors"),
    Case("timm.mobilenetv1_125", "mobilenet_v1", 1.25, 129, suffix=".pth"),
    Case("timm.mobilenetv2_100", "mobilenet_v2", 1.0, 224, suffix=".safetensors"),
    Case("timm.mobilenetv2_140", "mobilenet_v2", 1.4, 128, suffix=".pth"),
    Case("timm.mobilenetv3_large_100", "mobilenet_v3_large", 1.0, 224, suffix=".pth"),
    Case("timm.mobilenetv3_large_075", "mobilenet_v3_large", 0.75, 160, suffix=".safetensors"),
    Case("timm.mobilenetv3_small_100", "mobilenet_v3_small", 1.0, 224, suffix=".safetensors"),
    Case("timm.mobilenetv3_small_050", "mobilenet_v3_small", 0.5, 129, suffix=".pth"),
    Case("timm.tf_mobilenetv3_large_minimal_100", "mobilenet_v3_large_minimalistic", 1.0, 224, suffix=".pth"),
    Case("timm.tf_mobilenetv3_small_minimal_100", "mobilenet_v3_small_minimalistic", 1.0, 161, suffix=".pth"),
    Case("timm.mobilenet_edgetpu_100", "mobilenet_edgetpu", 1.0, 224, suffix=".safetensors"),
    Case("timm.mobilenetv4_conv_small", "mobilenet_v4_conv_small", 1.0, 224, suffix=".safetensors"),
    Case("timm.mobilenetv4_conv_small_050", "mobilenet_v4_conv_small", 0.5, 129, suffix=".pth", pixels=(127.5, 127.5)),
    Case("timm.mobilenetv4_conv_medium", "mobilenet_v4_conv_medium", 1.0, 256, suffix=".pth"),
    Case("timm.mobilenetv4_conv_medium", "mobilenet_v4_conv_medium", 1.0, 161, {"num_classes": 12}, suffix=".pth"),
    Case("timm.mobilenetv4_conv_large", "mobilenet_v4_conv_large", 1.0, 256, suffix=".safetensors"),
    Case("timm.mobilenetv4_hybrid_medium", "mobilenet_v4_hybrid_medium", 1.0, 256, suffix=".safetensors"),
    Case("timm.mobilenetv4_hybrid_medium", "mobilenet_v4_hybrid_medium", 1.0, 161, suffix=".pth"),
    Case("timm.mobilenetv4_hybrid_medium_075", "mobilenet_v4_hybrid_medium", 0.75, 128, suffix=".pth"),
    Case("timm.mobilenetv4_hybrid_large", "mobilenet_v4_hybrid_large", 1.0, 256, suffix=".safetensors"),
)
"""torchvision and timm, PyTorch's padding but for the `tf_` networks."""
