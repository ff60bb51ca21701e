"""Turns the planes of a video picture into an image of Pillow, at reduced size if asked for."""

from dataclasses import dataclass
from typing import cast

from PIL import Image, ImageChops

from imaging.formats.libde265 import Plane
from imaging.outcome import RejectReason, Unusable

# Red's and blue's share of luma by the number of the matrix (ITU-T H.273, table 4). Others, also
# "unspecified" (2), are taken for BT.601, as libheif does.
_SHARES = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
_BT_601 = (0.299, 0.114)
_GREEN_BLUE_RED = 0
# Lowest level, steps of luma and of chroma, in 8 bits (H.273, 8.3).
_FULL_RANGE, _VIDEO_RANGE = (0, 255, 255), (16, 219, 224)
_CHROMA_MIDDLE = 128


@dataclass(frozen=True, slots=True)
class Part:
    """The requested part of a picture."""

    size: tuple[int, int]
    """Width and height, from the upper left corner, pixels."""
    reduction: int
    """How many pixels on each side become one."""


def to_image(planes: list[Plane], matrix: int, part: Part, *, is_full_range: bool) -> Image.Image:
    """Returns the part as RGB.

    Args:
        planes: luma and, unless it is grey, both planes of chroma.
        matrix: how YCbCr is meant, matrix_coefficients of ITU-T H.273.
        part: what to return.
        is_full_range: whether samples use their whole range.

    Raises:
        Unusable: there are zeros in every plane somewhere, which means no colour.
    """
    luma, *chroma = (_component(planes, number, part) for number in range(len(planes)))
    low, luma_steps, chroma_steps = _FULL_RANGE if is_full_range else _VIDEO_RANGE
    if not chroma:
        grey = luma.point(lambda level: (level - low) * 255 / luma_steps)
        return grey.convert("RGB")
    # As libheif does; the model's pixels are larger than a sample of chroma in nearly every photo.
    nearest = Image.Resampling.NEAREST
    blue, red = (
        each if each.size == luma.size else each.resize(luma.size, nearest) for each in chroma
    )
    if matrix == _GREEN_BLUE_RED:
        return Image.merge("RGB", (red, luma, blue))
    if ImageChops.lighter(luma, ImageChops.lighter(blue, red)).getextrema()[0] == 0:
        raise Unusable(RejectReason.TRUNCATED, "parts of the picture are missing")
    together = Image.merge("YCbCr", (luma, blue, red))
    y, chroma_scale = 255 / luma_steps, 255 / chroma_steps
    red_share, blue_share = _SHARES.get(matrix, _BT_601)
    green_share = 1 - red_share - blue_share
    from_red, from_blue = 2 * (1 - red_share) * chroma_scale, 2 * (1 - blue_share) * chroma_scale
    rows = (
        (0.0, from_red),
        (-from_blue * blue_share / green_share, -from_red * red_share / green_share),
        (from_blue, 0.0),
    )
    to_rgb = [(y, cb, cr, -y * low - _CHROMA_MIDDLE * (cb + cr)) for cb, cr in rows]
    return together.convert("RGB", to_rgb[0] + to_rgb[1] + to_rgb[2])


def luma_to_image(planes: list[Plane], part: Part) -> Image.Image:
    """Returns the part's luma as it is stored, in 8 bits: transparency."""
    return _component(planes, 0, part)


def _component(planes: list[Plane], number: int, part: Part) -> Image.Image:
    """Returns one component of the part in 8 bits, reduced; chroma may keep fewer samples."""
    plane = planes[number]
    # Pixels that a sample covers.
    across, down = (-(-a // b) for a, b in zip(planes[0].size, plane.size, strict=True))
    width, height = part.size
    box = (0, 0, -(-width // across), -(-height // down))
    mode = "L" if plane.bits == 8 else "I;16"
    samples = cast(bytes, plane.samples)  # any buffer does
    whole = Image.frombuffer(mode, plane.size, samples, "raw", mode, plane.row_bytes, 1)
    factor = (max(1, part.reduction // across), max(1, part.reduction // down))
    if mode == "L":
        return whole.reduce(factor, box)
    reduced = whole.crop(box).convert("I").reduce(factor)
    # Luma as if the lowest bits were dropped before the reduction, as libheif does; chroma keeps
    # its middle.
    scale = 1 / (1 << plane.bits - 8)
    return reduced.point(lambda level: level * scale + (0.5 if number else scale / 2)).convert("L")
