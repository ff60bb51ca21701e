"""WebP (RFC 9649): reads the canvas size before libwebp allocates the canvas."""

import io
import struct
from functools import partial

from PIL.WebPImagePlugin import WebPImageFile

from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow, loaded
from imaging.formats.orientation import read_orientation
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable

# libwebp's animation decoder, which Pillow uses for stills too, holds two RGBA canvases, and
# Pillow copies the frame twice more. Measured on 12 megapixels: 16.2, with transparency 17.7.
_BYTES_PER_PIXEL = 16


def open_webp(data: bytes, limits: Limits) -> OpenedImage:
    """Opens a WebP file; raises Unusable."""
    size = _canvas_size(data)
    limits.check_size(size)
    limits.check_memory(_BYTES_PER_PIXEL * size[0] * size[1], size)
    (riff_bytes,) = struct.unpack_from("<I", data, 4)
    if 8 + riff_bytes > len(data):
        raise Unusable(RejectReason.TRUNCATED, "the file is shorter than its header says", size)
    with damage_found_by_pillow(size):
        image = WebPImageFile(io.BytesIO(data))
    orientation = read_orientation(image.info.get("exif"), image.info.get("xmp"))
    return OpenedImage("WEBP", partial(loaded, image), size, orientation, extent=size)


def _canvas_size(data: bytes) -> tuple[int, int]:
    """Returns width and height from the first chunk (RFC 9649 2.5 to 2.7, 3.4)."""
    if len(data) < 30:
        raise Unusable(RejectReason.TRUNCATED, "the file ends within its header")
    chunk = data[12:16]
    if chunk == b"VP8X":
        return _uint(data[24:27]) + 1, _uint(data[27:30]) + 1
    if chunk == b"VP8L":
        sides = _uint(data[21:25])
        return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return _uint(data[26:28]) & 0x3FFF, _uint(data[28:30]) & 0x3FFF
    raise Unusable(RejectReason.CORRUPT, "does not begin with an image chunk")


def _uint(little_endian: bytes) -> int:
    return int.from_bytes(little_endian, "little")
