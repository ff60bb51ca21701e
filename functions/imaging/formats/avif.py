"""AVIF (AV1 Image File Format 1.1): checks what libavif will decode, then opens it with Pillow.

The container's size may differ from the coded picture's, which libavif decodes first and then
scales: a kilobyte that says 64 x 64 pixels can ask for 268 megapixels. Pillow has no setting for
this, so the coded sizes are read from the AV1 data. The decoder's limits do not replace this check:
without it, a file of 2 kB with 144 megapixels is decoded, in 3 s (docs/decisions/imaging.md).

Boxes: ISO 14496-12. AV1 data: AV1 Bitstream & Decoding Process Specification, 5.3 and 5.5.
"""

import io
from functools import partial

from PIL import features
from PIL.AvifImagePlugin import AvifImageFile

from imaging.formats.bits import Bits
from imaging.formats.isobmff import VERSION_AND_FLAGS_BYTES, ItemData, find_box, read_items
from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow, loaded
from imaging.formats.orientation import read_orientation
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable

# Measured on 12 megapixels: 9.4, with transparency 12.0.
_BYTES_PER_PIXEL = 13
# A coded picture of 8 bits takes up to 3 bytes a pixel before it is scaled.
_BYTES_PER_CODED_PIXEL = 4
_SEQUENCE_HEADER = 1


def open_avif(data: bytes, limits: Limits) -> OpenedImage:
    """Opens an AVIF file's primary picture; raises Unusable, also if Pillow lacks AVIF."""
    if not features.check("avif"):
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "this Pillow was built without AVIF")
    start, end = find_box(memoryview(data), b"meta")
    with damage_found_by_pillow():
        image = AvifImageFile(io.BytesIO(_as_plain_still(data, start, end)))
    size = image.size
    limits.check_size(size)
    limits.check_memory(_BYTES_PER_PIXEL * size[0] * size[1], size)
    meta = memoryview(data)[start + VERSION_AND_FLAGS_BYTES : end]
    coded = sum(_item_pixels(item) for _, item in read_items(data, meta, limits.max_chunks))
    limits.check_memory(_BYTES_PER_CODED_PIXEL * coded, size)
    orientation = read_orientation(image.info.get("exif"), image.info.get("xmp"))
    return OpenedImage("AVIF", partial(loaded, image), size, orientation, extent=size)


def _as_plain_still(data: bytes, meta_start: int, meta_end: int) -> bytes:
    """Returns the file without its animation and its EXIF item, with the same length.

    As brand `avis`, libavif would decode the animation's tracks, which were not checked; as `avif`
    it takes the primary picture. EXIF may not turn an AVIF image (its own `irot` and `imir` do,
    and Pillow reports those as an orientation), but Pillow would parse it and warn about it.
    """
    meta = data[meta_start:meta_end].replace(b"Exif", b"skip")
    return b"".join([data[:8], b"avif", data[12:meta_start], meta, data[meta_end:]])


def _item_pixels(item: ItemData | None) -> int:
    if item is None:
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "an AVIF item made of other items")
    return _coded_pixels(item.data)


def _coded_pixels(data: bytes) -> int:
    """Returns the most pixels that a frame in `data` can have; 0 if it has no AV1 data."""
    most, position = 0, 0
    while position < len(data):
        first = data[position]
        kind, has_extension, has_size = first >> 3 & 15, first >> 2 & 1, first >> 1 & 1
        position += 1 + has_extension
        size = len(data) - position
        if has_size:
            size, position = _leb128(data, position)
        if kind == _SEQUENCE_HEADER:
            most = max(most, _frame_pixels(Bits(data[position : position + size])))
        position += size
    return most


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    """Reads a number of 7 bits a byte, lowest first; returns it and the position after it."""
    value = 0
    for index, byte in enumerate(data[position : position + 8]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise Unusable(RejectReason.CORRUPT, "an AV1 unit without a length")


def _frame_pixels(bits: Bits) -> int:
    """Reads a sequence header up to the frame size (5.5.1); returns its pixels."""
    bits.take(3 + 1)  # profile, still picture
    reduced_still_picture = bits.take(1)
    if reduced_still_picture:
        bits.take(5)  # level
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    if not reduced_still_picture:
        # A frame may state another size, in as many bits.
        return (1 << width_bits) * (1 << height_bits)
    return (bits.take(width_bits) + 1) * (bits.take(height_bits) + 1)


def _skip_operating_points(bits: Bits) -> None:
    if bits.take(1):
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "an AVIF picture with video timing")
    display_delay = bits.take(1)
    for _point in range(bits.take(5) + 1):
        bits.take(12)
        level = bits.take(5)
        if level > 7:
            bits.take(1)  # tier
        if display_delay and bits.take(1):
            bits.take(4)
