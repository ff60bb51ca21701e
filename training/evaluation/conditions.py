"""The conditions in which photos are taken, to measure their effect on accuracy.

Each makes a photo of a photo, stored without loss. They are mild forms of the corruptions of
Hendrycks and Dietterich (arXiv:1903.12261), and the scales at which a subject may be shown.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

from PIL import Image, ImageFilter, ImageStat

TINY_PIXELS = 48
FAR_SHARE = 3
# Of the longer side: 8 pixels of 1,024, as a hand that moved.
BLUR_SHARE = 1 / 128
# Of the stored levels, which are gamma-encoded: about an eighth of the light.
DARK_SHARE = 0.4


def _dark(image: Image.Image) -> Image.Image:
    return image.point(lambda level: level * DARK_SHARE)


def _blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(max(image.size) * BLUR_SHARE))


def _far(image: Image.Image) -> Image.Image:
    """The photo at a third of each side, in the middle of its mean colour."""
    size = max(1, image.width // FAR_SHARE), max(1, image.height // FAR_SHARE)
    mean = [round(level) for level in ImageStat.Stat(image).mean]
    scene = Image.new("RGB", image.size, (mean[0], mean[1], mean[2]))
    place = (image.width - size[0]) // 2, (image.height - size[1]) // 2
    scene.paste(image.resize(size, Image.Resampling.LANCZOS), place)
    return scene


def _tiny(image: Image.Image) -> Image.Image:
    small = image.copy()
    small.thumbnail((TINY_PIXELS, TINY_PIXELS))
    return small


def _stored(change: Callable[[Image.Image], Image.Image]) -> Callable[[Image.Image], bytes]:
    def store(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        change(image).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    return store


CONDITIONS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "turned by 90°": _stored(lambda image: image.transpose(Image.Transpose.ROTATE_90)),
    "upside down": _stored(lambda image: image.transpose(Image.Transpose.ROTATE_180)),
    "dark": _stored(_dark),
    "blurred": _stored(_blurred),
    "far, a third of the side": _stored(_far),
    f"tiny, {TINY_PIXELS} pixels": _stored(_tiny),
    "grey": _stored(lambda image: image.convert("L").convert("RGB")),
}
