"""AVIF (AV1 Image File Format 1.1): checks what libavif will decode, then opens it with Pillow.

The size that the container states need not be the size of the coded picture: libavif decodes that
at its own size and scales it, so that a kilobyte that says 64 x 64 pixels can ask for 268
megapixels. Pillow has no setting against it; so the coded sizes are read from the AV1 data.
"""

import io

from PIL import features
from PIL.AvifImagePlugin import AvifImageFile

from imaging.formats.av1 import coded_pixels
from imaging.formats.boxes import find_box, read_items
from imaging.formats.orientation import read_orientation
from imaging.formats.source import Source, damage_found_by_pillow
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable

# Measured on 12 megapixels: 9.4, with transparency 12.0.
_BYTES_PER_PIXEL = 13
# A coded picture of 8 bits takes up to 3 bytes a pixel before it is scaled.
_BYTES_PER_CODED_PIXEL = 4
_VERSION_AND_FLAGS_BYTES = 4


def open_avif(data: bytes, limits: Limits) -> Source:
    """Opens the primary picture of an AVIF file; raises Unusable, also if Pillow has no AVIF."""
    if not features.check("avif"):
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "this Pillow was built without AVIF")
    start, end = find_box(memoryview(data), b"meta")
    with damage_found_by_pillow():
        image = AvifImageFile(io.BytesIO(_as_plain_still(data, start, end)))
    size = image.size
    limits.check_size(size)
    limits.check_memory(_BYTES_PER_PIXEL * size[0] * size[1], size)
    boxes = memoryview(data)[start + _VERSION_AND_FLAGS_BYTES : end]
    coded = sum(coded_pixels(item) for item in read_items(data, boxes, limits.max_chunks))
    limits.check_memory(_BYTES_PER_CODED_PIXEL * coded, size)
    orientation = read_orientation(image.info.get("exif"), image.info.get("xmp"))
    return Source("AVIF", image, size, orientation, extent=size)


def _as_plain_still(data: bytes, meta_start: int, meta_end: int) -> bytes:
    """The same file without its animation and its EXIF item, byte for byte as long.

    As brand `avis`, libavif would decode the animation's tracks, which were not checked; as `avif`
    it takes the primary picture. EXIF may not turn an AVIF image (its own `irot` and `imir` do,
    and Pillow reports those as an orientation), but Pillow would parse it and warn about it.
    """
    meta = data[meta_start:meta_end].replace(b"Exif", b"skip")
    return b"".join([data[:8], b"avif", data[12:meta_start], meta, data[meta_end:]])
