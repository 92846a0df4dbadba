"""What the section `quantize` of a deployment asks for: images to calibrate with, and settings of the quantizer."""

from __future__ import annotations

from pathlib import Path

from mnetdsl.quantize.choose import AUTO
from mnetdsl.quantize.pictures import Pictures
from mnetdsl.quantize.quantizer import Settings
from mnetdsl.quantize.ranges import SHARE
from mnetdsl.quantize.tuning import Techniques
from mnetdsl.sema.deployment import Deployment, Rule, SettingValue


def requested_settings(deployment: Deployment | None) -> Settings:
    """The settings that the deployment says; the quantizer's own where it says nothing."""
    said = _said(deployment)
    ranges = said.get("ranges")
    widest = said.get("int16_worst")
    return Settings(
        observer=ranges.name.replace("_", "-") if isinstance(ranges, Rule) else AUTO,
        share=ranges.arguments[0] if isinstance(ranges, Rule) and ranges.arguments else SHARE,
        equalize=said.get("equalize") is not False,
        techniques=Techniques(
            bias_correction=said.get("bias_correction") is not False,
            learned_rounding=said.get("learned_rounding") is not False,
        ),
        wide=_layers(said.get("int16")),
        in_float=_layers(said.get("float")),
        widest=widest if isinstance(widest, int) else 0,
    )


def requested_pictures(deployment: Deployment | None, folder: Path) -> Pictures | None:
    """The images that the deployment names, relative to the `folder` of its text; None where it names none."""
    said = _said(deployment)
    place, limit = said.get("calibrate"), said.get("limit")
    if not isinstance(place, str):
        return None
    return Pictures(place, limit=limit if isinstance(limit, int) else None, beside=folder)


def _said(deployment: Deployment | None) -> dict[str, SettingValue]:
    section = None if deployment is None else deployment.sections.get("quantize")
    return {} if section is None else section.settings


def _layers(value: SettingValue | None) -> frozenset[str]:
    return frozenset(item for item in value if isinstance(item, str)) if isinstance(value, tuple) else frozenset()
