"""The parts of an ISO base media file (ISO 14496-12) that say where an AVIF's pictures are."""

from collections.abc import Iterator
from dataclasses import dataclass

from imaging.outcome import RejectReason, Unusable

_IN_FILE, _IN_IDAT = 0, 1


@dataclass(slots=True)
class _Cursor:
    data: memoryview
    position: int = 0

    def uint(self, length: int) -> int:
        """The next `length` bytes as a number; 0 where a field is absent (length 0)."""
        start, self.position = self.position, self.position + length
        if self.position > len(self.data):
            raise Unusable(RejectReason.TRUNCATED, "the file ends within a box")
        return int.from_bytes(self.data[start : self.position], "big")


def find_box(data: memoryview, wanted: bytes, start: int = 0) -> tuple[int, int]:
    """Start and end of the body of the first box of this type in a row of boxes."""
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


def read_items(data: bytes, meta: memoryview, most_extents: int) -> Iterator[bytes]:
    """Yields the data of every item located by `meta` (the body of that box, after its version).

    Items may come in several extents and overlap; together they may not be longer than the file.
    """
    start, end = find_box(meta, b"iloc")
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
        start, end = find_box(meta, b"idat")
        data = bytes(meta[start:end])
    elif place != _IN_FILE:
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "an AVIF item made of other items")
    return data[offset : offset + length] if length else data[offset:]
