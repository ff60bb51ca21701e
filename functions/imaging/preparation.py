"""Turns the bytes of a file into the model's exact input pixels, or a reason why not."""

import math

from PIL import Image

from imaging.colour import to_rgb, to_rgb_or_grey
from imaging.formats.avif import open_avif
from imaging.formats.bmp import open_bmp
from imaging.formats.jpeg import open_jpeg
from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow
from imaging.formats.png import open_png
from imaging.formats.sniff import sniff_format
from imaging.formats.webp import open_webp
from imaging.geometry import Frame, crop_offsets, frame, resized_sides, swaps_sides
from imaging.limits import DEFAULT_LIMITS, Limits
from imaging.outcome import Prepared, Rejection, RejectReason, Unusable
from imaging.spec import ImageSpec

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
_TO_DISPLAY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Images of up to this many pixels, before and after the resize, are cheap to turn and to resize as
# a whole. Larger photos are mostly JPEGs, decoded at reduced size.
_SMALL_PIXELS = 2_000_000
# Pillow resizes a column's pixels before a row's in very tall images (13.0: from 3 on); rows first
# elsewhere.
_TALL = 2


def prepare(data: bytes, spec: ImageSpec, limits: Limits = DEFAULT_LIMITS) -> Prepared | Rejection:
    """Makes the model's input from any file.

    The result equals torchvision's Resize(spec.resize) + CenterCrop(spec.size) on the displayed
    RGB image within the rounding of a decoding at reduced size (bench/prepare.py measures it).
    Never raises because of a file's content, changes no shared state, and may be called from many
    threads.
    """
    format_name = sniff_format(data)
    try:
        source = open_image(format_name, data, spec, limits)
        pixels = _pixels(source, spec)
    except Unusable as verdict:
        return rejection_of(verdict, format_name)
    width, height = source.size[::-1] if swaps_sides(source.orientation) else source.size
    return Prepared(pixels, source.format, width, height)


def _check_length(data: bytes, limits: Limits) -> None:
    if not data:
        raise Unusable(RejectReason.EMPTY, "the file has no bytes")
    if len(data) > limits.max_bytes:
        raise Unusable(
            RejectReason.TOO_MANY_BYTES,
            f"{len(data):,} bytes, at most {limits.max_bytes:,} are allowed",
        )


def open_image(
    format_name: str | None, data: bytes, spec: ImageSpec, limits: Limits
) -> OpenedImage:
    """Opens a file whose format is known by its first bytes; raises Unusable."""
    _check_length(data, limits)
    match format_name:
        case "JPEG":
            return open_jpeg(data, spec, limits)
        case "PNG":
            return open_png(data, limits)
        case "WEBP":
            return open_webp(data, limits)
        case "AVIF":
            return open_avif(data, limits)
        case "BMP":
            return open_bmp(data, limits)
        case "HEIF":
            # 6 ms that a process without HEIC need not spend at its start.
            from imaging.formats.heic import open_heic  # noqa: PLC0415

            return open_heic(data, spec, limits)
        case None:
            raise Unusable(RejectReason.NOT_AN_IMAGE, "does not begin like any image format")
        case _:
            raise Unusable(
                RejectReason.UNSUPPORTED_FORMAT,
                f"{format_name} is not read here; JPEG, PNG, WebP, AVIF, HEIC and BMP are",
            )


def _pixels(source: OpenedImage, spec: ImageSpec) -> bytes:
    """Decodes the image and makes the model's input from it."""
    decoded = source.decode()
    with damage_found_by_pillow(source.size):
        image = to_rgb_or_grey(decoded)
    del decoded
    part = frame(source.size, source.orientation, spec)
    decoded_whole = source.extent == source.size
    if decoded_whole and max(math.prod(image.size), math.prod(part.resized)) <= _SMALL_PIXELS:
        cropped = _resize_and_crop(turned(image, source.orientation), spec)
    else:
        cropped = turned(_resize_crop_alone(image, source.extent, part, spec), source.orientation)
    return to_rgb(cropped).tobytes()


def _resize_and_crop(image: Image.Image, spec: ImageSpec) -> Image.Image:
    """Follows torchvision step by step, so that every rounding is the same."""
    filter_, size = _RESAMPLING[spec.interpolation], spec.size
    width, height = resized_sides(image.size, spec)
    left, top = crop_offsets((width, height), spec)
    if image.height <= _TALL * image.width:
        # Pillow's own two passes, without the columns that the crop leaves out of the second.
        image = image.resize((width, image.height), filter_)
        image = image.crop((left, 0, left + size, image.height))
        width, left = size, 0
    resized = image.resize((width, height), filter_)
    return resized.crop((left, top, left + size, top + size))


def _resize_crop_alone(
    image: Image.Image, extent: tuple[float, float], part: Frame, spec: ImageSpec
) -> Image.Image:
    """Does the same for a large or very long image, without computing what the crop leaves out.

    Pillow may resize the two axes in another order here, and round single levels differently.
    """
    (across, down), (left, top, right, bottom) = extent, part.box
    box = (left * across, top * down, right * across, bottom * down)
    return image.resize((spec.size, spec.size), _RESAMPLING[spec.interpolation], box)


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Returns the image as it is displayed."""
    return image.transpose(_TO_DISPLAY[orientation]) if orientation in _TO_DISPLAY else image


def rejection_of(verdict: Unusable, format_name: str | None) -> Rejection:
    """Returns a verdict as a value."""
    width, height = verdict.size or (None, None)
    return Rejection(verdict.reason, verdict.detail, format_name, width, height)
