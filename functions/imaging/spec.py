"""The image spec: everything about a model's input that is needed to prepare an image."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

# Part of every spec's hash. Raise it when `prepare` changes the pixels of ordinary photos: an
# endpoint then refuses them until its model is packaged again. Corrections of rare files that were
# read wrongly (transparency of few bits, masks of BMP, spellings of XMP) do not raise it.
PREPARE_VERSION = 1

_FIELDS = {"size", "resize", "crop", "interpolation", "mean", "std", "layout"}


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The images that a model expects; part of the model archive (`model.json`)."""

    size: int
    """Height and width of the model's input, pixels."""
    resize: int
    """Length of the shorter side after the resize, before the crop, pixels; never below `size`."""
    crop: Literal["center"]
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, float, float]
    """Red, green, blue, in levels 0..255; subtracted inside the model's graph, not by `prepare`."""
    std: tuple[float, float, float]
    """Red, green, blue, in levels 0..255; divided by inside the model's graph."""
    layout: Literal["NHWC"]

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "ImageSpec":
        """Reads the `image_spec` of a `model.json`; ValueError says which field is wrong."""
        if set(value) != _FIELDS:
            missing, unknown = sorted(_FIELDS - set(value)), sorted(set(value) - _FIELDS)
            raise ValueError(f"image spec: missing fields {missing}, unknown fields {unknown}")
        spec = cls(
            size=_positive_int(value, "size"),
            resize=_positive_int(value, "resize"),
            crop=cast(Literal["center"], _one_of(value, "crop", "center")),
            interpolation=cast(
                Literal["bilinear", "bicubic"],
                _one_of(value, "interpolation", "bilinear", "bicubic"),
            ),
            mean=_levels(value, "mean"),
            std=_levels(value, "std"),
            layout=cast(Literal["NHWC"], _one_of(value, "layout", "NHWC")),
        )
        if spec.resize < spec.size:
            raise ValueError(f"image spec: resize {spec.resize} is below size {spec.size}")
        if min(spec.std) <= 0:
            raise ValueError(f"image spec: std must be above zero, is {spec.std}")
        return spec

    def to_json(self) -> dict[str, object]:
        """Returns the form that `from_json` reads."""
        return {
            "size": self.size,
            "resize": self.resize,
            "crop": self.crop,
            "interpolation": self.interpolation,
            "mean": list(self.mean),
            "std": list(self.std),
            "layout": self.layout,
        }

    @property
    def hash(self) -> str:
        """Returns 16 hex digits that name this spec and the algorithm of `prepare`."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(f"{canonical}|{PREPARE_VERSION}".encode()).hexdigest()[:16]

    @property
    def image_bytes(self) -> int:
        """Bytes of one prepared image."""
        return self.size * self.size * 3


def _positive_int(value: Mapping[str, object], field: str) -> int:
    number = value[field]
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"image spec: {field} must be a whole number above zero, is {number!r}")
    return number


def _one_of(value: Mapping[str, object], field: str, *allowed: str) -> str:
    text = value[field]
    if not isinstance(text, str) or text not in allowed:
        raise ValueError(f"image spec: {field} must be one of {allowed}, is {text!r}")
    return text


def _levels(value: Mapping[str, object], field: str) -> tuple[float, float, float]:
    levels = value[field]
    if (
        not isinstance(levels, list | tuple)
        or len(levels) != 3
        or not all(_is_level(level) for level in levels)
    ):
        raise ValueError(f"image spec: {field} must be three numbers 0..255, is {levels!r}")
    red, green, blue = levels
    return float(red), float(green), float(blue)


def _is_level(level: object) -> bool:
    return isinstance(level, int | float) and not isinstance(level, bool) and 0 <= level <= 255
