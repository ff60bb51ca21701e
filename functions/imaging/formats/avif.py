"""AVIF (AV1 Image File Format 1.1): checks what libavif will decode, then opens it with Pillow.

The container's size may differ from the coded picture's, which libavif decodes first and then
scales: a kilobyte that says 64 x 64 pixels can ask for 268 megapixels. Pillow has no setting for
this, so the coded sizes are read from the AV1 data. The decoder's limits do not replace this check:
without it, a file of 2 kB with 144 megapixels is decoded, in 3 s (docs/decisions/imaging.md).

Boxes: ISO 14496-12. AV1 data: AV1 Bitstream & Decoding Process Specification, 5.3 and 5.5.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from PIL import features
from PIL.AvifImagePlugin import AvifImageFile

from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow, loaded
from imaging.formats.orientation import read_orientation
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable

# Measured on 12 megapixels: 9.4, with transparency 12.0.
_BYTES_PER_PIXEL = 13
# A coded picture of 8 bits takes up to 3 bytes a pixel before it is scaled.
_BYTES_PER_CODED_PIXEL = 4
_VERSION_AND_FLAGS_BYTES = 4
_IN_FILE, _IN_IDAT = 0, 1
_SEQUENCE_HEADER = 1


def open_avif(data: bytes, limits: Limits) -> OpenedImage:
    """Opens an AVIF file's primary picture; raises Unusable, also if Pillow lacks AVIF."""
    if not features.check("avif"):
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "this Pillow was built without AVIF")
    start, end = _find_box(memoryview(data), b"meta")
    with damage_found_by_pillow():
        image = AvifImageFile(io.BytesIO(_as_plain_still(data, start, end)))
    size = image.size
    limits.check_size(size)
    limits.check_memory(_BYTES_PER_PIXEL * size[0] * size[1], size)
    boxes = memoryview(data)[start + _VERSION_AND_FLAGS_BYTES : end]
    coded = sum(_coded_pixels(item) for item in _read_items(data, boxes, limits.max_chunks))
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


@dataclass(slots=True)
class _Cursor:
    data: memoryview
    position: int = 0

    def uint(self, length: int) -> int:
        """Reads the next `length` bytes as a number; 0 for an absent field (length 0)."""
        start, self.position = self.position, self.position + length
        if self.position > len(self.data):
            raise Unusable(RejectReason.TRUNCATED, "the file ends within a box")
        return int.from_bytes(self.data[start : self.position], "big")


def _find_box(data: memoryview, wanted: bytes, start: int = 0) -> tuple[int, int]:
    """Returns start and end of the body of the first box of this type in a row of boxes."""
    cursor = _Cursor(data, start)
    while cursor.position < len(data):
        begin = cursor.position
        size, name = cursor.uint(4), cursor.uint(4).to_bytes(4, "big")
        if size == 1:
            size = cursor.uint(8)
        end = begin + size if size else len(data)
        if not cursor.position <= end <= len(data):
            raise Unusable(RejectReason.TRUNCATED, "the file ends within a box")
        if name == wanted:
            return cursor.position, end
        cursor.position = end
    raise Unusable(RejectReason.CORRUPT, f"there is no {wanted.decode()} box")


def _read_items(data: bytes, meta: memoryview, most_extents: int) -> Iterator[bytes]:
    """Yields the data of every item located by `meta` (the body of that box, after its version).

    Items may come in several extents and overlap; together they may not be longer than the file.
    """
    start, end = _find_box(meta, b"iloc")
    cursor = _Cursor(meta[start:end])
    version, _flags = cursor.uint(1), cursor.uint(3)
    field_lengths = cursor.uint(2)
    offset_length, length_length = field_lengths >> 12, field_lengths >> 8 & 15
    base_length, index_length = field_lengths >> 4 & 15, field_lengths & 15 if version else 0
    left = len(data)
    for _item in range(cursor.uint(2 if version < 2 else 4)):
        cursor.uint(2 if version < 2 else 4)  # the item's number
        place = cursor.uint(2) & 15 if version else _IN_FILE
        cursor.uint(2)  # another file to look into, which libavif does not support
        base = cursor.uint(base_length)
        item = b""
        for _extent in range(cursor.uint(2)):
            cursor.uint(index_length)
            offset, length = base + cursor.uint(offset_length), cursor.uint(length_length)
            item += _extent_data(data, meta, place, offset, length)
            most_extents, left = most_extents - 1, left - len(item)
            if most_extents < 0 or left < 0:
                raise Unusable(RejectReason.TOO_MANY_CHUNKS, "the items are longer than the file")
        yield item


def _extent_data(data: bytes, meta: memoryview, place: int, offset: int, length: int) -> bytes:
    if place == _IN_IDAT:
        start, end = _find_box(meta, b"idat")
        data = bytes(meta[start:end])
    elif place != _IN_FILE:
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "an AVIF item made of other items")
    return data[offset : offset + length] if length else data[offset:]


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
            most = max(most, _frame_pixels(_Bits(data[position : position + size])))
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


@dataclass(slots=True)
class _Bits:
    data: bytes
    position: int = 0

    def take(self, count: int) -> int:
        """Reads the next `count` bits, highest first; zeros after the end."""
        end = self.position + count
        covered = self.data[: (end + 7) // 8].ljust((end + 7) // 8, b"\0")
        self.position = end
        return int.from_bytes(covered, "big") >> -end % 8 & (1 << count) - 1


def _frame_pixels(bits: _Bits) -> int:
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


def _skip_operating_points(bits: _Bits) -> None:
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
