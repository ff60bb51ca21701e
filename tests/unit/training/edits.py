"""Sixteen edits that make a copy of a photo, by name."""

from __future__ import annotations

import random
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from tests.unit.training.patterns import encoded

Edit = Callable[[Image.Image], bytes]


def detailed(number: int) -> Image.Image:
    """A picture with details everywhere, as a photo has them; 320x240."""
    choose = random.Random(number)  # noqa: S311 - repeatable, not secret
    image = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(150):
        x, y, radius = 320 * choose.random(), 240 * choose.random(), 4 + 26 * choose.random()
        box = (x - radius, y - radius, x + radius * choose.random(), y + radius)
        draw.ellipse(box, fill=tuple(choose.randrange(256) for _ in range(3)))
    return image


def _as_jpeg(edit: Callable[[Image.Image], Image.Image]) -> Edit:
    return lambda image: encoded(edit(image), format="JPEG", quality=90)


def _stamped(image: Image.Image) -> Image.Image:
    stamped = image.copy()
    width, height = image.size
    box = (0.72 * width, 0.8 * height, 0.97 * width, 0.95 * height)
    ImageDraw.Draw(stamped).rectangle(box, fill="white", outline="red")
    return stamped


def _captioned(image: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (image.width, round(1.15 * image.height)))
    canvas.paste(image)
    return canvas


def _cropped(left: float, right: float, up: float, down: float) -> Callable[..., Image.Image]:
    def crop(image: Image.Image) -> Image.Image:
        width, height = image.size
        box = (left * width, up * height, (1 - right) * width, (1 - down) * height)
        return image.crop(tuple(map(round, box)))

    return crop


EDITS: dict[str, Edit] = {
    "JPEG of quality 20": lambda image: encoded(image, format="JPEG", quality=20),
    "WebP": lambda image: encoded(image, format="WEBP", quality=50),
    "half the size": _as_jpeg(lambda image: image.reduce(2)),
    "grey": _as_jpeg(ImageOps.grayscale),
    "mirrored": _as_jpeg(ImageOps.mirror),
    "on its side": _as_jpeg(lambda image: image.transpose(Image.Transpose.ROTATE_90)),
    "upside down": _as_jpeg(lambda image: image.transpose(Image.Transpose.ROTATE_180)),
    "turned by 5 degrees": _as_jpeg(lambda image: image.rotate(5, Image.Resampling.BICUBIC)),
    "framed": _as_jpeg(lambda image: ImageOps.expand(image, image.height // 12, "white")),
    "stamped": _as_jpeg(_stamped),
    "captioned": _as_jpeg(_captioned),
    "padded to a square": _as_jpeg(lambda image: ImageOps.pad(image, (image.width,) * 2)),
    "10 % cut off each side": _as_jpeg(_cropped(0.1, 0.1, 0.1, 0.1)),
    "10 % cut off one side": _as_jpeg(_cropped(0.1, 0.0, 0.0, 0.0)),
    "brighter": _as_jpeg(lambda image: ImageEnhance.Brightness(image).enhance(1.4)),
    "blurred": _as_jpeg(lambda image: image.filter(ImageFilter.GaussianBlur(image.width / 150))),
}
