"""The encodings that people send photos in, to measure their effect on accuracy."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageOps

from imaging.formats.sniff import sniff_format
from imaging.outcome import Unusable
from imaging.thumbnail import small_picture

ORIENTATION_TAG, QUARTER_TURN = 0x0112, 6
# As messengers send photos. Choosing 256 colours of 12 megapixels would take 14 seconds.
LONGEST_SIDE = 1024


def _saved(image: Image.Image, format_: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **how)
    return buffer.getvalue()


def _lying_on_its_side(image: Image.Image) -> bytes:
    """The sensor's pixels and an orientation tag, as phones write them."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = QUARTER_TURN
    turned = image.transpose(Image.Transpose.ROTATE_90)
    return _saved(turned, "JPEG", quality=95, exif=exif)


def _halved(image: Image.Image) -> bytes:
    half = image.resize((max(1, image.width // 2), max(1, image.height // 2)))
    return _saved(half, "JPEG", quality=90)


ENCODINGS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "PNG": lambda image: _saved(image, "PNG", compress_level=1),
    "JPEG, quality 50": lambda image: _saved(image, "JPEG", quality=50),
    "JPEG, quality 20": lambda image: _saved(image, "JPEG", quality=20),
    "JPEG, progressive": lambda image: _saved(image, "JPEG", quality=90, progressive=True),
    "JPEG, CMYK": lambda image: _saved(image.convert("CMYK"), "JPEG", quality=95),
    "JPEG, lying on its side": _lying_on_its_side,
    "JPEG, half the size": _halved,
    "JPEG, grey": lambda image: _saved(image.convert("L"), "JPEG", quality=90),
    "WebP, quality 50": lambda image: _saved(image, "WEBP", quality=50),
    "PNG, 256 colours": lambda image: _saved(image.quantize(256), "PNG", compress_level=1),
    "PNG, 16 bits grey": lambda image: _saved(
        image.convert("L").convert("I").point(lambda level: level * 257).convert("I;16"),
        "PNG",
        compress_level=1,
    ),
}


def working_copy(content: bytes) -> Image.Image:
    """The photo `upright`, its longer side at most LONGEST_SIDE pixels, ready to be encoded.

    Raises:
        OSError: it cannot be decoded.
    """
    picture = upright(content)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return picture


def upright(content: bytes, longest_side: int = LONGEST_SIDE) -> Image.Image:
    """Decodes a photo to RGB and turns it as it is displayed.

    Pillow does not read HEIC: it is decoded as for the model, and its longer side becomes at most
    `longest_side` pixels; other formats keep their size.

    Raises:
        OSError: it cannot be decoded.
    """
    if sniff_format(content) == "HEIF":
        try:
            return small_picture(content, longest_side)
        except Unusable as verdict:
            raise OSError(verdict.detail) from verdict
    with Image.open(io.BytesIO(content)) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")
